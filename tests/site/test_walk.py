"""Promises PS8 and PS9: every role at every address of the portal, by every verb. Who may what: `who_may.py`."""

import re

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver

from hardware.models import HardwareProfile
from runs.models import (
    ApiToken,
    Badge,
    Import,
    Invitation,
    Membership,
    OwnershipOffer,
    Role,
    Run,
    SavedView,
    ShareLink,
    User,
)
from runs.rights import RIGHTS
from tests import people as cast
from tests.site.test_doors import LOGINS, routes
from tests.site.test_roles import ASKED
from tests.site.who_may import A_TOKEN, EVERYBODY, FORMS, ITS_MAKER, ONESELF, PAGES
from tests.wire import Wire

ROLES = ["stranger", "outsider", Role.VIEWER, Role.MEMBER, Role.OWNER, "superuser"]
VERBS = ("get", "post", "put", "delete")
PARTS = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")
#: What a refused request may still write: its own session, and that it was tried.
SESSIONS = ("django_session", "usersessions_usersession", "runs_remembered")


def pages() -> list[tuple[str | None, str]]:
    return [(name, route) for name, route in routes(get_resolver().url_patterns) if not route.startswith("/admin/")]


def test_the_walk_knows_every_page():
    assert {name for name, _ in pages()} == set(PAGES)


@pytest.fixture
def lab(people, client) -> dict[str, str]:
    """Alice's team with one of everything, by the name that a route gives its part."""
    project = people.project
    run = Run.objects.get(run_id=Wire(client, cast.token(project)).whole_run())
    alice, bob = (Membership.objects.get(user=each) for each in (people.alice, people.bob))
    HardwareProfile.objects.create(slug="acme", name="Acme", kind="gpu", tdp_w=100)
    return {
        "team": project.team.slug,
        "project": project.slug,
        "slug": run.tracked_model.slug,
        "run_id": str(run.run_id),
        "batch_id": "b-1",
        "form": "csv",
        "pk": str(SavedView.objects.create(user=people.alice, name="mine").pk),
        "imported": str(Import.objects.create(project=people.project, file_name="jobs.txt", state="checked").pk),
        "number": "0",
        "member": str(bob.pk),
        "token": str(ApiToken.issue(project, "Alice's", ["ingest"], people.alice)[0].pk),
        "share": str(ShareLink.make(run, 7, True, people.alice)[0].pk),
        "badge": str(Badge.make(run.tracked_model, "emissions", people.alice).pk),
        "invitation": str(Invitation.issue(alice, "member")[0].pk),
        "offer": str(OwnershipOffer.make(alice, bob, False).pk),
    }


@pytest.fixture
def visitor(people, role) -> Client:
    """A browser of somebody in this role; the owner is Alice, the member Bob, the outsider Charlie."""
    dora = User.objects.create_user("dora@example.org", cast.PASSWORD)
    persons = {"outsider": people.charlie, Role.MEMBER: people.bob, Role.OWNER: people.alice, Role.VIEWER: dora}
    if role == Role.VIEWER:
        Membership.objects.create(team=people.project.team, user=dora, role=role)
    browser = Client()
    if role == "superuser":
        browser.force_login(User.objects.create_superuser("root@example.org", cast.PASSWORD))
    elif role != "stranger":
        browser.force_login(persons[role])
    return browser


def address(name: str | None, route: str, parts: dict[str, str]) -> str:
    parts = parts | {"hardware_detail": {"slug": "acme"}, "model_citation": {"form": "bib"}}.get(name or "", {})
    return re.sub(r"[\^$+]|\\Z|/\?", "", PARTS.sub(lambda match: parts.get(match[1] or match[2], "x"), route))


def ask(browser: Client, verb: str, at: str, data=None) -> tuple[str, list[str]]:
    """How the request was answered, in a word, and what it wrote but sessions; then all is as it was before."""
    cookies = browser.cookies.output()
    with transaction.atomic(), CaptureQueriesContext(connection) as asked:
        answer = browser.generic(verb.upper(), at) if data is None else getattr(browser, verb)(at, data)
        if answer.streaming:
            b"".join(answer.streaming_content)
        transaction.set_rollback(True)
    browser.cookies.clear()
    browser.cookies.load(cookies.replace("Set-Cookie: ", ""))
    written = [
        query["sql"]
        for query in asked.captured_queries
        if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))
        and not any(name in query["sql"] for name in SESSIONS)
    ]
    return outcome(answer), written


def outcome(answer) -> str:
    if answer.status_code == 302 and answer["Location"].split("?")[0] in LOGINS:
        return "login"
    if answer.status_code in (401, 403, 404, 405) or answer.status_code >= 500:
        return str(answer.status_code)
    return "in"


#: Anything but a fault: pages without an account, and what is behind a key that isn't there.
HARMLESS = {"in", "login", "401", "403", "404", "405"}


def expected(role: str, verb: str, name: str | None) -> set[str]:
    """What this role gets: in; the login; 401 for a cookie where a token is asked, 403 at
    CodeCarbon's door as its own server has it; 403 of members, 404 of others.

    A page that only shows may show itself to whoever may read it by any verb.
    """
    doors = PAGES[name]
    who = doors.get(verb, doors.get("get"))
    if who == EVERYBODY:
        return HARMLESS
    if who == A_TOKEN:
        return {"401", "404", "405"} if not (name or "").startswith("codecarbon") else {"403"}
    if role == "stranger":
        return {"login"}
    if who is None:
        return {"404", "405"} | ({"in"} if verb == "get" and name in FORMS else set())
    if who == ONESELF:
        return {"in", "404", "405"} if name != "socialaccount_signup" else {"login"}
    if verb not in doors:
        return expected(role, "get", name) | {"405"}
    if who == ITS_MAKER:
        return {"in"} if role == Role.OWNER else {"404"}
    if role not in set(Role):
        return {"404"}
    return {"in"} if role in (who if isinstance(who, set) else RIGHTS[who]) else {"403"}


@pytest.mark.parametrize("role", ROLES)
def test_every_page_opens_to_those_who_may_and_no_others(lab, visitor, role):
    wrong = []
    for name, route in pages():
        for verb in VERBS:
            data = ASKED.get(name, {}) if verb == "post" else None
            found, written = ask(visitor, verb, address(name, route, lab), data)
            may_write = (found == "in" and verb in PAGES[name]) or ONESELF in PAGES[name].values()
            if found not in expected(role, verb, name) or (written and not may_write):
                wrong.append(f"{verb} {route} ({name}): {found} {written}")
    assert not wrong, "\n".join(wrong)
