"""Invitations: a link that lets one person in, once, in the role that the inviter chose and nobody can raise."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from runs.models import AuditEntry, Invitation, Membership, Role, Team, User
from tests.screens.conftest import Reader
from tests.screens.html import Page
from tests.stored import tables_with

INVITE = "/settings/teams/vision-lab/invitations/"


@pytest.fixture
def dora(db) -> Reader:
    """Somebody with an account and no team."""
    reader = Reader()
    reader.force_login(User.objects.create_user("dora@example.org", first_name="Dora"))
    return reader


def path_of(answer) -> str:
    """The invitation's link on the page that made it, without the host."""
    link = Page(answer).by_id("link").text
    assert link.startswith("http://testserver/join/")
    return link.removeprefix("http://testserver")


def invite(reader, role="member", **more) -> str:
    return path_of(reader.post(INVITE, {"role": role} | more, follow=True))


def accept(reader, path: str, **more):
    assert reader.get(path)["Location"] == "/join/"
    return reader.post("/join/", {"answer": "accept"} | more)


def role_of(email: str, team: str = "vision-lab") -> str | None:
    return Membership.objects.filter(team__slug=team, user__email=email).values_list("role", flat=True).first()


def test_a_link_lets_somebody_in_with_the_role_that_it_was_made_for(alice, dora):
    path = invite(alice, "viewer")
    assert dora.get(path)["Location"] == "/join/"
    assert "Join Vision lab" in dora.read("/join/").text
    assert "viewer" in dora.read("/join/").text
    dora.post("/join/", {"answer": "accept"})
    assert role_of("dora@example.org") == "viewer"
    assert "Vision lab" in dora.read("/settings/teams/vision-lab/").text


def test_opening_a_link_alone_lets_nobody_in(alice, dora):
    dora.get(invite(alice))
    dora.get("/join/")
    assert role_of("dora@example.org") is None


@pytest.mark.parametrize("more", [{"role": "admin"}, {"role": "owner"}, {"team": "other-lab"}])
def test_whoever_is_invited_changes_neither_role_nor_team(alice, dora, more):
    accept(dora, invite(alice, "viewer"), **more)
    assert list(Membership.objects.filter(user__email="dora@example.org").values_list("team__slug", "role")) == [
        ("vision-lab", "viewer")
    ]


def test_a_link_works_once(alice, dora, charlie):
    path = invite(alice)
    accept(dora, path)
    assert charlie.get(path).status_code == 404
    assert role_of("charlie@example.org") is None


def test_of_two_browsers_that_opened_a_link_one_gets_in(alice, dora, charlie):
    path = invite(alice)
    charlie.get(path)
    accept(dora, path)
    assert charlie.post("/join/", {"answer": "accept"}).status_code == 404
    assert role_of("charlie@example.org") is None


def test_a_link_is_open_for_seven_days(alice, dora):
    path = invite(alice)
    made = Invitation.objects.get()
    assert timedelta(days=6, hours=23) < made.expires_at - timezone.now() <= timedelta(days=7)
    Invitation.objects.update(expires_at=timezone.now())
    assert dora.get(path).status_code == 404


def test_a_withdrawn_link_leads_nowhere_also_for_who_opened_it_before(alice, dora):
    path = invite(alice)
    dora.get(path)
    alice.post(f"{INVITE}{Invitation.objects.get().pk}/revoke/")
    assert dora.post("/join/", {"answer": "accept"}).status_code == 404
    assert dora.get(path).status_code == 404


@pytest.mark.parametrize("end", ["removed", "demoted", "locked"])
def test_a_link_ends_with_its_inviters_right_to_invite(people, alice, bob, dora, end):
    Membership.objects.filter(user=people.bob).update(role=Role.ADMIN)
    path = invite(bob)
    if end == "removed":
        Membership.objects.get(user=people.bob).delete()
    elif end == "demoted":
        Membership.objects.filter(user=people.bob).update(role=Role.MEMBER)
    else:
        User.objects.filter(pk=people.bob.pk).update(is_active=False)
    assert dora.get(path).status_code == 404


@pytest.mark.parametrize("role", ["owner", "superuser", ""])
def test_nobody_is_invited_as_owner_or_as_what_there_is_not(alice, role):
    answer = alice.post(INVITE, {"role": role})
    assert answer.status_code == 200
    assert not Invitation.objects.exists()


def test_a_member_stays_what_he_is_and_the_link_stays_for_somebody_else(alice, bob, dora):
    path = invite(alice, "viewer")
    accept(bob, path)
    assert role_of("bob@example.org") == "member"
    accept(dora, path)
    assert role_of("dora@example.org") == "viewer"


def test_the_link_is_shown_once_and_stored_nowhere(alice):
    secret = invite(alice).split("/")[2]
    assert len(secret) == 43
    assert tables_with(secret) == []
    assert secret not in alice.get("/settings/teams/vision-lab/members/").content.decode()


def test_a_mail_brings_the_link_with_the_portals_own_host(alice, dora, django_capture_on_commit_callbacks, settings):
    settings.TRACEML_BASE_URL, settings.MAIL_IS_SET_UP = "https://traceml.example", True
    with django_capture_on_commit_callbacks(execute=True):
        alice.post(INVITE, {"role": "member", "email": "dora@example.org"}, headers={"Host": "localhost"})
    (sent,) = mail.outbox
    assert sent.to == ["dora@example.org"]
    assert sent.subject == "Invitation to a team on TraceML"
    path = re.search(r"https://traceml\.example(/join/\S+)", sent.body)[1]
    accept(dora, path)
    assert role_of("dora@example.org") == "member"


def test_an_invitation_tells_nothing_of_who_has_an_account(alice, people):
    pages = [
        Page(alice.post(INVITE, {"role": "member", "email": f"{name}@example.org"}, follow=True))
        for name in ("charlie", "nobody")
    ]
    assert pages[0].text.count("charlie@example.org") == pages[1].text.count("nobody@example.org")
    assert pages[0].tags != [] and "account" not in pages[0].text


def test_a_team_can_not_be_used_to_send_mail_to_the_world(alice, monkeypatch):
    monkeypatch.setattr("runs.teams.invitations.MOST_A_DAY", 2)
    for _ in range(2):
        invite(alice)
    assert "Limit reached: 2 invitations a day for a team." in Page(alice.post(INVITE, {"role": "member"})).text
    assert Invitation.objects.count() == 2


def test_a_stranger_signs_in_and_comes_back_to_the_invitation(alice, people):
    User.objects.create_user("dora@example.org", "correct horse battery staple")
    stranger, path = Reader(), invite(alice)
    stranger.get(path)
    login = stranger.get("/join/")["Location"]
    assert login == "/accounts/login/?next=/join/"
    assert "/accounts/login/?next=%2Fjoin%2F" in stranger.read("/accounts/signup/", next="/join/").links()
    credentials = {"login": "dora@example.org", "password": "correct horse battery staple", "next": "/join/"}
    assert stranger.post(login, credentials)["Location"] == "/join/"
    assert "Join Vision lab" in stranger.read("/join/").text


@pytest.mark.parametrize("signup", ["closed", "invite", "open"])
def test_a_stranger_is_led_to_sign_up_with_the_invitation_in_the_session(alice, settings, signup):
    settings.TRACEML_SIGNUP = signup
    stranger, path = Client(), invite(alice)
    assert stranger.get(path)["Location"] == "/accounts/signup/?next=/join/"
    assert stranger.session["invitation"] == Invitation.objects.get().pk


@pytest.mark.parametrize("path", ["/join/nonsense/", "/join/" + "x" * 43 + "/"])
def test_what_is_no_invitation_is_not_found(dora, path):
    assert dora.get(path).status_code == Client().get(path).status_code == 404
    assert dora.get("/join/").status_code == 404


def test_whoever_declines_is_in_no_team_and_the_link_stays_open(alice, dora):
    dora.get(invite(alice))
    dora.post("/join/", {"answer": "decline"})
    assert role_of("dora@example.org") is None
    assert Invitation.objects.open().count() == 1
    assert dora.get("/join/").status_code == 404


@pytest.mark.parametrize("path", ["/start/", "/settings/"])
def test_whoever_came_by_a_link_gets_no_team_of_their_own_but_is_led_back_to_it(alice, dora, path):
    dora.get(invite(alice))
    assert dora.get(path)["Location"] == "/join/"
    assert not Team.objects.for_user(User.objects.get(email="dora@example.org")).exists()


def test_the_log_tells_who_invited_and_who_joined(alice, dora):
    accept(dora, invite(alice))
    told = AuditEntry.objects.order_by("pk").values_list("actor__email", "action", "subject")
    assert list(told) == [
        ("alice@example.org", "member invited", "a link as member"),
        ("dora@example.org", "member joined", "dora@example.org as member"),
    ]
