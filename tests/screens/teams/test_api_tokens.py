"""Promise PS10 in the settings: tokens shown once, rotated with overlap, revoked at once."""

import logging
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.utils import timezone

from runs.models import ApiToken, AuditEntry, Membership, Role
from tests.screens.html import Page
from tests.stored import tables_with
from tests.wire import Wire, header

TOKENS = "/settings/teams/vision-lab/tokens/"


def made(answer) -> str:
    """The plain text on the page that made a token."""
    return Page(answer).by_id("token").text


def make(reader, people, **asked) -> str:
    asked = {"project": people.project.pk, "name": "laptop", "scopes": "ingest", "days": "30"} | asked
    return made(reader.post(f"{TOKENS}new/", asked, follow=True))


@pytest.fixture
def bobs(people) -> tuple[ApiToken, str]:
    return ApiToken.issue(people.project, "Bob's", ["read"], people.bob, timezone.now() + timedelta(days=30))


def test_a_token_does_what_it_was_made_for_and_no_more(bob, people, client):
    wire = Wire(client, make(bob, people, scopes="ingest"))
    assert wire.put("runs/7b0f9c0e-3f5c-4f0a-9a53-0d2f6b1c1a11", header()).status_code == 201
    assert wire.get("runs").status_code == 403


@pytest.mark.parametrize(("days", "expected"), [("30", 30), ("90", 90), ("365", 365), ("", None)])
def test_it_lives_as_long_as_was_chosen(bob, people, days, expected):
    make(bob, people, days=days)
    expires_at = ApiToken.objects.get().expires_at
    assert expires_at is None if expected is None else abs(expires_at - timezone.now()).days in (expected, expected - 1)


@pytest.mark.parametrize(
    "asked", [{"scopes": "admin"}, {"scopes": ""}, {"days": "100000"}, {"name": ""}, {"project": "x"}]
)
def test_what_can_not_be_chosen_makes_no_token(bob, people, asked):
    answer = bob.post(
        f"{TOKENS}new/", {"project": people.project.pk, "name": "x", "scopes": "read", "days": ""} | asked
    )
    assert answer.status_code == 200
    assert not ApiToken.objects.exists()


def test_a_token_is_made_for_no_other_teams_project(bob, people):
    bob.post(f"{TOKENS}new/", {"project": people.charlies_project.pk, "name": "x", "scopes": "read", "days": ""})
    assert not ApiToken.objects.exists()


def test_its_plain_text_is_in_one_answer_and_nowhere_else(bob, people, client, caplog):
    caplog.set_level(logging.DEBUG)
    answer = bob.post(f"{TOKENS}new/", {"project": people.project.pk, "name": "x", "scopes": "read", "days": ""})
    answer = bob.get(answer["Location"])
    plain_text, secret = made(answer), made(answer).split("_", 2)[2]
    assert "no-store" in answer["Cache-Control"]
    Wire(client, plain_text).get("runs")
    assert secret not in bob.get(TOKENS).content.decode()
    assert secret not in caplog.text
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    assert tables_with(secret) == []


def test_the_list_tells_prefix_maker_scopes_last_use_and_agent(alice, people, bobs, client):
    token, plain_text = bobs
    client.get("/api/v1/runs", headers={"Authorization": f"Bearer {plain_text}", "User-Agent": "traceml-agent/0.1.0"})
    (row,) = alice.read(TOKENS).table()
    assert row[:4] == [f"Bob's {token.prefix} by bob@example.org", "Digits", "read", "just now traceml-agent/0.1.0"]


def test_a_rotated_token_works_beside_its_successor_for_the_stated_time(bob, bobs, client):
    old, plain_text = bobs
    successor = made(bob.post(f"{TOKENS}{old.pk}/rotate/", {"hours": "24"}, follow=True))
    assert Wire(client, plain_text).get("runs").status_code == 200
    assert Wire(client, successor).get("runs").status_code == 200
    ApiToken.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    assert Wire(client, plain_text).get("runs").status_code == 401
    assert Wire(client, successor).get("runs").status_code == 200


def test_a_successor_has_the_name_scopes_and_lifetime_of_the_old_one(people, bobs):
    old, _ = bobs
    new, _ = old.rotate(people.bob, timedelta(hours=1))
    assert (new.name, new.scopes, new.project) == (old.name, old.scopes, old.project)
    assert abs(new.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    assert abs(old.expires_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)
    assert (old.state, new.state) == ("replaced", "active")


def test_rotation_never_makes_the_old_one_live_longer(people):
    soon = timezone.now() + timedelta(minutes=5)
    old, _ = ApiToken.issue(people.project, "x", ["read"], people.bob, soon)
    old.rotate(people.bob, timedelta(days=7))
    assert old.expires_at == soon


def test_without_overlap_the_old_one_ends_at_once(bob, bobs, client):
    old, plain_text = bobs
    bob.post(f"{TOKENS}{old.pk}/rotate/", {"hours": "0"})
    assert Wire(client, plain_text).get("runs").status_code == 401


def test_a_token_is_rotated_once(bob, people, bobs):
    old, _ = bobs
    bob.post(f"{TOKENS}{old.pk}/rotate/", {"hours": "24"})
    assert "can’t be rotated" in Page(bob.post(f"{TOKENS}{old.pk}/rotate/", {"hours": "24"}, follow=True)).text
    assert ApiToken.objects.count() == 2
    with pytest.raises(ValidationError):
        ApiToken.objects.get(pk=old.pk).rotate(people.bob, timedelta(hours=1))


def test_a_revoked_token_ends_at_the_next_request(bob, bobs, client):
    token, plain_text = bobs
    bob.post(f"{TOKENS}{token.pk}/revoke/")
    assert Wire(client, plain_text).get("runs").status_code == 401
    assert "Revoked" in bob.read(TOKENS).text


@pytest.mark.parametrize("act", ["rotate", "revoke"])
def test_a_member_manages_the_own_tokens_and_an_admin_all(alice, bob, people, bobs, act):
    alices, _ = ApiToken.issue(people.project, "Alice's", ["read"], people.alice)
    assert bob.post(f"{TOKENS}{alices.pk}/{act}/", {"hours": "24"}).status_code == 403
    assert ApiToken.objects.usable().count() == 2
    assert alice.post(f"{TOKENS}{bobs[0].pk}/{act}/", {"hours": "24"}).status_code in (200, 302)
    changed = ApiToken.objects.get(pk=bobs[0].pk)
    assert changed.state in ("replaced", "revoked")


def test_a_viewer_sees_the_list_without_a_form(bob, people, bobs):
    Membership.objects.filter(user=people.bob).update(role=Role.VIEWER)
    page = bob.read(TOKENS)
    assert "Bob's" in page.text
    assert page.one("main").all("form") == []


def test_a_closed_accounts_tokens_end(people, bobs, client):
    people.bob.is_active = False
    people.bob.save()
    assert Wire(client, bobs[1]).get("runs").status_code == 401


def test_the_log_tells_of_every_change_by_prefix(bob, people, bobs):
    old, _ = bobs
    new_prefix = made(bob.post(f"{TOKENS}{old.pk}/rotate/", {"hours": "24"}, follow=True)).rsplit("_", 1)[0][:16]
    bob.post(f"{TOKENS}{old.pk}/revoke/")
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "subject")) == [
        ("token rotated", f"{old.prefix} by {new_prefix} (Bob's) of Digits"),
        ("token revoked", f"{old.prefix} (Bob's) of Digits"),
    ]
