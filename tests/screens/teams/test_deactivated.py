"""A deactivated person: looks so wherever others meet them, can't act by anything, and can be made active again."""

import csv
import io

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from runs.accounts.departure import activate, deactivate, teams_to_hand_over
from runs.models import (
    ApiToken,
    AuditEntry,
    Badge,
    Invitation,
    Membership,
    OwnershipOffer,
    Refusal,
    Role,
    ShareLink,
    User,
)
from runs.models.team import LastOwner
from tests.people import PASSWORD
from tests.screens.html import Page
from tests.screens.signing_in import is_signed_in, sign_in
from tests.wire import Wire

LAB = "/settings/teams/vision-lab/"


@pytest.fixture
def bobs(people, client, profile) -> dict:
    """What Bob made before he was deactivated."""
    Membership.objects.filter(user=people.bob).update(role=Role.ADMIN)
    _, plain_text = ApiToken.issue(people.project, "Bob's", ["ingest", "read"], people.bob)
    run_id = Wire(client, plain_text).whole_run(name="by-bob")
    _, invitation = Invitation.issue(Membership.objects.get(user=people.bob), "viewer")
    _, secret = ShareLink.make(people.project, 7, False, people.bob)
    badge = Badge.make(people.project, "emissions", people.bob)
    browser = Client()
    sign_in(browser, "bob@example.org")
    assert is_signed_in(browser)
    deactivate(people.bob)
    return {
        "token": plain_text,
        "run": run_id,
        "join": f"/join/{invitation}/",
        "share": f"/s/{secret}/",
        "badge": f"/badge/{badge.key}.svg",
        "browser": browser,
    }


@pytest.mark.parametrize("page", ["members/", "tokens/", "shares/"])
def test_lists_of_the_team_say_so(alice, bobs, page):
    assert "Deactivated" in alice.read(LAB + page).text


def test_nobody_else_is_said_to_be(alice, people):
    ApiToken.issue(people.project, "Bob's", ["ingest"], people.bob)
    for page in ("members/", "tokens/", "shares/"):
        assert "deactivated" not in alice.read(LAB + page).text.lower()


def test_a_token_of_theirs_is_not_called_valid(alice, bobs):
    assert "Creator deactivated" in alice.read(f"{LAB}tokens/").text
    assert ApiToken.objects.get().state == "resting"


def test_who_ran_it_says_so_on_the_page_in_the_list_in_filters_and_files(alice, bobs):
    assert "run by Bob (deactivated)" in alice.read(f"/runs/{bobs['run']}/").text
    page = alice.read("/runs/", column="member")
    assert page.column(1) == ["Bob (deactivated)"]
    assert "Bob (deactivated)" in [option.text for option in page.by_id("member").all("option")]
    text = b"".join(alice.get("/runs/export.csv").streaming_content).decode()
    assert next(csv.DictReader(io.StringIO(text)))["run_by"] == "Bob (deactivated)"


def test_the_log_says_that_they_were_and_marks_what_they_did(alice, bobs, people):
    AuditEntry.objects.create(team=people.project.team, actor=people.bob, action="project created", subject="x")
    told = alice.read(f"{LAB}audit/").text
    assert "account deactivated" in told.lower()
    assert "bob@example.org (deactivated)" in told


def test_nothing_of_theirs_opens_a_door(bobs, client):
    assert not is_signed_in(bobs["browser"])
    again = Client()
    sign_in(again, "bob@example.org")
    assert not is_signed_in(again)
    assert Wire(client, bobs["token"]).get("runs").status_code == 401
    assert client.get(bobs["share"]).status_code == client.get(bobs["join"]).status_code == 404


def test_a_badge_stays_as_readmes_of_others_show_it(bobs, client):
    assert client.get(bobs["badge"]).status_code == 200


def test_the_refused_agent_s_people_are_told_why(bobs, client):
    Wire(client, bobs["token"]).put(f"runs/{bobs['run']}", {})
    assert "is deactivated. Create a new token" in Refusal.objects.get().reason


def test_made_active_again_all_works_but_the_old_sessions(bobs, people, client):
    activate(people.bob)
    assert Wire(client, bobs["token"]).get("runs").status_code == 200
    assert client.get(bobs["share"]).status_code == 200
    assert client.get(bobs["join"]).status_code == 302
    assert not is_signed_in(bobs["browser"])
    sign_in(bobs["browser"], "bob@example.org")
    assert is_signed_in(bobs["browser"])


@pytest.fixture
def staff(people) -> Client:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return browser


def change(staff, person, **more):
    form = Page(staff.get(f"/admin/runs/user/{person.pk}/change/"))
    asked = {"email": person.email, "time_zone": "UTC", "theme": "", "_save": "Save"} | more
    assert form.by_id("id_is_active")
    assert staff.post(f"/admin/runs/user/{person.pk}/change/", asked).status_code == 302


def test_staff_deactivate_and_activate_in_the_admin_and_every_team_of_the_person_is_told(staff, people):
    change(staff, people.bob)
    people.bob.refresh_from_db()
    assert not people.bob.is_active
    change(staff, people.bob, is_active="on")
    people.bob.refresh_from_db()
    assert people.bob.is_active
    told = AuditEntry.objects.filter(team=people.project.team).order_by("pk").values_list("action", "subject")
    assert list(told) == [("account deactivated", "bob@example.org"), ("account active again", "bob@example.org")]
    assert "is_active" in str(staff.get("/admin/runs/user/").content)


def test_a_deactivated_owner_counts_as_none(people):
    bobs = Membership.objects.get(user=people.bob)
    bobs.role = Role.OWNER
    bobs.save()
    deactivate(people.bob)
    with pytest.raises(LastOwner):
        Membership.objects.get(user=people.alice).end()
    assert [team.name for team in teams_to_hand_over(people.alice)] == ["Vision lab"]


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER])
def test_where_no_owner_can_act_the_highest_of_the_others_takes_over(bob, people, role):
    bobs = Membership.objects.filter(user=people.bob)
    bobs.update(role=role)
    assert "This team has no active owner" not in bob.read(LAB).text
    assert bob.post(f"{LAB}ownership/take/").status_code == 403
    deactivate(people.alice)
    assert "Take over ownership" in bob.read(LAB).text
    assert bob.post(f"{LAB}ownership/take/").status_code == 302
    assert bobs.get().role == Role.OWNER
    assert AuditEntry.objects.last().action == "ownership taken over"
    assert Membership.objects.get(user=people.alice).role == Role.OWNER


def test_neither_a_viewer_nor_whoever_stands_below_another_takes_over(bob, people):
    dora = User.objects.create_user("dora@example.org", PASSWORD)
    doras = Membership.objects.create(team=people.project.team, user=dora, role=Role.ADMIN)
    deactivate(people.alice)
    assert "This team has no active owner" in bob.read(LAB).text
    assert "Take over ownership" not in bob.read(LAB).text
    assert bob.post(f"{LAB}ownership/take/").status_code == 403
    doras.delete()
    Membership.objects.filter(user=people.bob).update(role=Role.VIEWER)
    with pytest.raises(PermissionDenied):
        Membership.objects.get(user=people.bob).take_over()


def test_ownership_is_neither_offered_to_nor_by_who_can_not_act(alice, people):
    bobs = Membership.objects.get(user=people.bob)
    offer = OwnershipOffer.make(Membership.objects.get(user=people.alice), bobs, steps_back=False)
    deactivate(people.bob)
    assert not OwnershipOffer.objects.open().exists()
    offer.delete()
    alice.post(f"{LAB}ownership/", {"member": bobs.pk})
    assert not OwnershipOffer.objects.exists()
