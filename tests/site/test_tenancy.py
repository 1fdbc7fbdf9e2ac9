"""Promise PS8: to Charlie everything of Alice's team is like something that never was, wherever and however he asks."""

import re
import statistics
import time
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver

from runs.ingest.removal import remove_run
from runs.models import (
    ApiToken,
    Badge,
    DeletedRun,
    Import,
    Invitation,
    Membership,
    OwnershipOffer,
    Project,
    Run,
    SavedView,
    ShareLink,
    Team,
    TrackedModel,
)
from tests import people as cast
from tests.site.test_doors import PUBLIC, routes
from tests.wire import A100, Wire, batch, finish, header, sample

#: In the name of everything that Alice has and that a page or an answer could give away. In capitals: slugs, which
#: Charlie may well type into an address, are not.
SECRET = "ZQ7SECRET"
PARTS = re.compile(r"<(?:\w+:)?(\w+)>")
#: The catalogue of hardware is everybody's.
EVERYBODYS = {"hardware_detail"}


@pytest.fixture
def team(people, client) -> dict[str, str]:
    """Alice's team with one of everything, by the name that a route gives its part."""
    Team.objects.filter(slug="vision-lab").update(name=f"{SECRET} team")
    Project.objects.filter(slug="digits").update(name=f"{SECRET} project")
    project = Project.objects.get(slug="digits")
    wire = Wire(client, cast.token(project))
    named = {"model": f"{SECRET}-model", "name": f"{SECRET} run", "tags": [SECRET], "host": SECRET}
    run = Run.objects.get(run_id=wire.whole_run([sample("gpu-0", 3600, 1800, 3.6e6)], [A100], **named))
    remove_run(Run.objects.get(run_id=wire.whole_run(**named)))
    alice = Membership.objects.get(user=people.alice)
    bob = Membership.objects.get(user=people.bob)
    return {
        "team": project.team.slug,
        "project": project.slug,
        "slug": run.tracked_model.slug,
        "run_id": str(run.run_id),
        "batch_id": "b-1",
        "form": "csv",
        "pk": str(SavedView.objects.create(user=people.alice, name=SECRET).pk),
        "member": str(bob.pk),
        "token": str(ApiToken.objects.get(project=project).pk),
        "share": str(ShareLink.make(run, 7, True, people.alice)[0].pk),
        "badge": str(Badge.make(run.tracked_model, SECRET, people.alice).pk),
        "invitation": str(Invitation.issue(alice, "member", f"{SECRET}@example.org")[0].pk),
        "offer": str(OwnershipOffer.make(alice, bob, False).pk),
        "imported": str(Import.objects.create(project=project, file_name=SECRET, state="checked").pk),
        "number": "0",
    }


MISSING = {
    "team": "no-such",
    "project": "no-such",
    "slug": "no-such",
    "run_id": str(uuid.UUID(int=7)),
    "batch_id": "b-1",
    "form": "csv",
    "number": "0",
} | dict.fromkeys(("pk", "imported", "member", "token", "share", "badge", "invitation", "offer"), "987654")


@pytest.fixture
def charlie(people) -> Client:
    reader = Client()
    reader.force_login(people.charlie)
    return reader


def closed_routes(below: str = "") -> list[tuple[str, str]]:
    """Routes of pages, or of the API, that take no stranger; the admin's and allauth's have tests of their own."""
    found = [(name, route) for name, route in routes(get_resolver().url_patterns) if name not in PUBLIC]
    if below:
        return [(name, route) for name, route in found if route.startswith(below)]
    return [(name, route) for name, route in found if not route.startswith(("/api/", "/admin/", "/accounts/"))]


def filled(route: str, parts: dict[str, str]) -> str:
    """The route's address; a part that is not known here is an error, so that no new route is forgotten."""
    return PARTS.sub(lambda match: parts[match[1]], route)


def seen(answer) -> tuple:
    """All that the asker learns, but for the request's own id and address."""
    body = answer.content.decode().replace(answer.get("X-Request-ID", "-"), "")
    headers = {name: value for name, value in answer.headers.items() if name not in ("X-Request-ID", "Content-Length")}
    return answer.status_code, body, headers


def names_of_hers(answer, team) -> set[str]:
    """What of hers a page shows."""
    return {word for word in ("zq7", team["run_id"]) if word in answer.content.decode()}


def test_every_page_of_hers_is_like_one_that_never_was(charlie, team):
    """All routes with a part, by reading and by writing: also hers below Charlie's own team."""
    walked = 0
    for name, route in closed_routes():
        if not PARTS.search(route) or name in EVERYBODYS:
            continue
        for own in ({}, {"team": "other-lab"}):
            hers, never = filled(route, team | own), filled(route, MISSING | own)
            if hers == never:
                continue
            for method in ("get", "post"):
                answer = getattr(charlie, method)(hers)
                if answer.status_code == 302 and method == "get":  # to the page of a form, by the address alone
                    answer = getattr(charlie, method)(hers, follow=True)
                    there = charlie.get(never, follow=True)
                    charlie.get("/")  # which shows the note of both
                    assert (answer.status_code, there.status_code) in ((404, 404), (200, 200)), hers
                    assert names_of_hers(answer, team) == set(), hers
                    continue
                assert answer.status_code in (404, 405), (method, hers, answer.status_code)
                assert seen(answer) == seen(getattr(charlie, method)(never)), (method, hers)
                walked += 1
    assert walked > 60


def test_nothing_of_hers_changed_by_his_asking(charlie, team, people):
    def state() -> list:
        tables = (
            Run,
            Import,
            TrackedModel,
            ShareLink,
            Badge,
            Invitation,
            OwnershipOffer,
            DeletedRun,
            Membership,
            ApiToken,
        )
        return [list(table.objects.order_by("pk").values()) for table in (*tables, Team, Project)]

    before = state()
    for _, route in closed_routes():
        if PARTS.search(route):
            charlie.post(filled(route, team), {"of": "project:digits", "days": 7, "label": "x", "name": "taken"})
    assert state() == before


SEARCHES = [
    "",
    "?q=zq7",
    "?project=digits",
    "?model=digits/zq7secret-model",
    "?team=vision-lab",
    "?of=project:digits",
    "?run=1&run=2",
    "?tag=zq7secret&range=all",
    "?seen=1",
    "?seen=unknown",
]


def showing_a_name(reader: Client, own: dict[str, str]) -> list[str]:
    """Lists, searches and comparisons that show this reader a name of Alice's, with all that can be asked of each."""
    parts = [set(PARTS.findall(route)) for _, route in closed_routes()]
    pages = [filled(route, own) for (_, route), names in zip(closed_routes(), parts, strict=True) if names <= {*own}]
    found = []
    for address in (page + search for page in pages for search in SEARCHES):
        answer = reader.get(address, follow=True)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        found += [address] if SECRET.encode() in body else []
    return found


def test_no_list_search_or_comparison_shows_a_name_of_hers(charlie, people, team):
    assert showing_a_name(charlie, {"team": "other-lab", "project": "secrets"}) == []
    alice = Client()
    alice.force_login(people.alice)
    assert len(showing_a_name(alice, {"team": "vision-lab", "project": "digits"})) > 50  # so the walk can tell


def test_every_answer_of_the_api_is_as_if_hers_had_never_been(people, client, team):
    wire = Wire(client, cast.token(people.charlies_project))
    for _, route in closed_routes("/api/v1/"):
        path = route.removeprefix("/api/v1/")
        answer = wire.get(filled(path, team), q="zq7")
        assert SECRET not in answer.content.decode()
        if PARTS.search(route):
            assert seen(answer) == seen(wire.get(filled(path, MISSING), q="zq7")), route
            assert answer.status_code in (404, 405, 411)


@pytest.mark.parametrize(("path", "body"), [("batches/b-1", batch([sample("gpu-0", 1, 1)])), ("finish", finish())])
def test_writing_to_her_run_is_like_writing_to_one_that_never_was(people, client, team, path, body):
    wire = Wire(client, cast.token(people.charlies_project))
    hers, never = (wire.put(f"runs/{run_id}/{path}", body) for run_id in (team["run_id"], MISSING["run_id"]))
    assert hers.status_code == 404
    assert seen(hers) == seen(never)


def test_her_runs_id_is_free_for_a_run_of_his_own(people, client, team):
    wire = Wire(client, cast.token(people.charlies_project))
    assert wire.put(f"runs/{team['run_id']}", header()).status_code == 201
    assert Run.objects.get(project__slug="digits").name == f"{SECRET} run"
    deleted = DeletedRun.objects.get().run_id
    assert wire.put(f"runs/{deleted}", header()).status_code == 201


DELETION = {"action": "delete_selected", "_selected_action": 1, "post": "yes"}


def test_the_admin_is_closed_to_him_page_and_action(charlie, team):
    for _, route in closed_routes("/admin/"):
        address = re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>|[$^]", "1", route)
        for method in ("get", "post"):
            answer = getattr(charlie, method)(address, DELETION)
            assert answer.status_code in (302, 403), (method, address, answer.status_code)
            assert SECRET not in answer.content.decode()
    assert Run.objects.exists()
    assert Team.objects.filter(slug="vision-lab").exists()


TIMED = ["/runs/{run_id}/", "/models/{project}/{slug}/", "/settings/teams/{team}/audit/"]


@pytest.mark.parametrize("route", TIMED)
def test_hers_takes_the_same_queries_as_one_that_never_was(charlie, team, route):
    counts = []
    for parts in (team, MISSING):
        charlie.get("/nowhere/")
        with CaptureQueriesContext(connection) as queries:
            charlie.get(route.format(**parts))
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("route", TIMED)
def test_hers_takes_the_same_time_as_one_that_never_was(charlie, team, route):
    times: dict[str, list[float]] = {}
    for _ in range(15):
        for address in (route.format(**team), route.format(**MISSING)):
            start = time.perf_counter()
            charlie.get(address)
            times.setdefault(address, []).append(time.perf_counter() - start)
    hers, never = map(statistics.median, times.values())
    assert abs(hers - never) < 0.005 + 0.5 * never, (hers, never)
