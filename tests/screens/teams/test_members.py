"""The members' page: roles and removal, in force at the next request."""

import pytest

from runs.models import ApiToken, AuditEntry, Membership, OwnershipOffer, Role
from tests.screens.html import Page
from tests.wire import Wire

MEMBERS = "/settings/teams/vision-lab/members/"


@pytest.fixture
def bobs(people) -> Membership:
    return Membership.objects.get(user=people.bob)


def test_members_are_listed_owners_first(alice, bob):
    assert [row[:2] for row in bob.read(MEMBERS).table()] == [
        ["Alice alice@example.org", "Owner"],
        ["Bob (you) bob@example.org", "Member"],
    ]
    assert "charlie" not in alice.read(MEMBERS).text


def test_a_role_is_changed(alice, bobs):
    alice.post(f"{MEMBERS}{bobs.pk}/role/", {"role": "admin"})
    bobs.refresh_from_db()
    assert bobs.role == Role.ADMIN


def test_the_last_owner_is_told_why_stepping_down_is_no_way(alice, people):
    own = Membership.objects.get(user=people.alice)
    answer = alice.post(f"{MEMBERS}{own.pk}/role/", {"role": "member"}, follow=True)
    assert "A team needs an owner" in Page(answer).text
    own.refresh_from_db()
    assert own.role == Role.OWNER


def test_an_admin_is_offered_no_change_of_owners_and_can_not_force_one(alice, bob, people, bobs):
    Membership.objects.filter(pk=bobs.pk).update(role=Role.ADMIN)
    own = Membership.objects.get(user=people.alice)
    assert [row[3] for row in bob.read(MEMBERS).table()] == ["", ""]
    for path in (f"{MEMBERS}{own.pk}/role/", f"{MEMBERS}{own.pk}/remove/"):
        assert bob.post(path, {"role": "viewer"}).status_code == 403
    own.refresh_from_db()
    assert own.role == Role.OWNER


def test_nobody_raises_the_own_role(bob, bobs):
    Membership.objects.filter(pk=bobs.pk).update(role=Role.ADMIN)
    for role in ("owner", "admin"):
        assert bob.post(f"{MEMBERS}{bobs.pk}/role/", {"role": role}).status_code == 403


def test_removing_bob_ends_his_access_at_the_next_request(alice, bob, people, bobs, run, client):
    run_id = run()
    _, plain_text = ApiToken.issue(people.project, "Bob's", ["read"], people.bob)
    paths = [f"/runs/{run_id}/", "/models/digits/resnet-50/", MEMBERS, "/start/digits/news"]
    assert {bob.get(path).status_code for path in paths} == {200}
    assert Wire(client, plain_text).get("runs").status_code == 200
    alice.post(f"{MEMBERS}{bobs.pk}/remove/")
    assert {bob.get(path).status_code for path in paths} == {404}
    assert Wire(client, plain_text).get("runs").status_code == 401
    assert "resnet-50" not in bob.read("/runs/").text


def test_an_offer_of_ownership_is_accepted_by_the_other_side_alone(alice, bob, bobs, people):
    alice.post("/settings/teams/vision-lab/ownership/", {"member": bobs.pk, "steps_back": "on"})
    answer = f"/settings/teams/vision-lab/ownership/{OwnershipOffer.objects.get().pk}/"
    assert alice.post(answer, {"answer": "accept"}).status_code == 403
    assert "alice@example.org offers you ownership" in bob.read("/settings/teams/vision-lab/").text
    bob.post(answer, {"answer": "accept"})
    roles = Membership.objects.filter(team=people.project.team).order_by("user__email").values_list("role", flat=True)
    assert list(roles) == ["admin", "owner"]


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_an_offer_is_taken_back_or_declined(request, alice, bobs, who):
    alice.post("/settings/teams/vision-lab/ownership/", {"member": bobs.pk})
    answer = f"/settings/teams/vision-lab/ownership/{OwnershipOffer.objects.get().pk}/"
    request.getfixturevalue(who).post(answer, {"answer": "decline"})
    assert not OwnershipOffer.objects.exists()
    bobs.refresh_from_db()
    assert bobs.role == Role.MEMBER


def test_ownership_is_offered_to_no_one_outside(alice, people):
    outside = Membership.objects.get(user=people.charlie)
    alice.post("/settings/teams/vision-lab/ownership/", {"member": outside.pk})
    assert not OwnershipOffer.objects.exists()


def test_the_log_tells_of_roles_and_removals(alice, bobs):
    alice.post(f"{MEMBERS}{bobs.pk}/role/", {"role": "viewer"})
    alice.post(f"{MEMBERS}{bobs.pk}/remove/")
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "subject")) == [
        ("role changed", "bob@example.org from member to viewer"),
        ("member removed", "bob@example.org"),
    ]
