"""Pages come from the replica, are never older than the request, and come without it too."""

import json
import threading
import uuid

import pytest

from tests.backup import places
from tests.postgres import servers
from tests.postgres.conftest import until
from tests.wire import header

pytestmark = servers.needed


@pytest.fixture
def paused(cluster):
    """A replica that receives everything and replays nothing."""
    cluster.replica.ask("SELECT pg_wal_replay_pause()")
    yield
    cluster.replica.ask("SELECT pg_wal_replay_resume()")


def is_used(portal) -> bool:
    """Whether a page that is asked for now comes from the replica."""
    before = portal.figures().get('traceml_reads_total{database="replica"}', 0)
    assert portal.ask("/runs/")[0] == 200
    return portal.figures()['traceml_reads_total{database="replica"}'] > before + 1  # /metrics is one


def test_pages_and_the_api_are_read_from_the_replica(portal, cluster):
    until(lambda: is_used(portal))
    began = cluster.replica.log.stat().st_size
    until(lambda: [portal.ask(path)[0] for path in ("/runs/", "/api/v1/runs")] == [200] * 2 and is_used(portal))
    asked = cluster.replica.log.read_text()[began:]
    assert 'FROM "runs_run"' in asked
    assert "runs_apitoken" not in asked  # what decides about rights is read from the primary
    assert portal.figures()["traceml_replica_lag_seconds"] < 5


def test_what_was_committed_before_is_on_the_page_however_late_the_replica_is(portal, cluster, paused):
    """A run, a form's change, and a token that no longer counts."""
    run, token = uuid.uuid4(), cluster.token_to_revoke
    assert portal.ask(f"/api/v1/runs/{run}", json.dumps(header()).encode(), method="PUT")[0] == 201
    assert [portal.ask(f"/runs/{run}/")[0] for _ in range(5)] == [200] * 5
    assert portal.ask("/settings/new-team/", b"name=Second+lab")[0] == 200
    assert all("Second lab" in portal.ask("/")[1] for _ in range(5))
    assert portal.ask("/api/v1/runs", token=token)[0] == 200
    cluster.primary.ask("UPDATE runs_apitoken SET revoked_at = now() WHERE id = (SELECT max(id) FROM runs_apitoken)")
    assert [portal.ask("/api/v1/runs", token=token)[0] for _ in range(5)] == [401] * 5
    assert portal.figures()["traceml_replica_used"] == 0


def test_a_page_whose_replica_dies_in_the_middle_is_made_by_the_primary(portal, cluster):
    until(lambda: is_used(portal))
    got = []
    with cluster.primary.opened() as other, other.transaction():
        other.execute("LOCK TABLE runs_project IN ACCESS EXCLUSIVE MODE")
        cluster.primary.ask("CHECKPOINT")  # sends the lock to the replica
        page = threading.Thread(target=lambda: got.append(portal.ask("/runs/")[0]))
        page.start()
        until(lambda: cluster.replica.ask("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        cluster.replica.kill()
        until(lambda: cluster.primary.ask("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    page.join()
    assert got == [200]
    assert [portal.ask("/runs/")[0] for _ in range(5)] == [200] * 5
    assert portal.ask("/healthz") == (200, "ok")
    assert portal.figures()["traceml_replica_used"] == 0
    cluster.replica.start()
    until(lambda: is_used(portal))


#: A page whose query on the replica is in the way of a lock that the primary has sent.
IN_THE_WAY = """
import threading, time
import psycopg
from django.db import DatabaseError, connections
from django.http import HttpResponse
from django.test import RequestFactory
from traceml_site.databases import replica
def page(request):
    with connections[replica.Router().db_for_read(None)].cursor() as cursor:
        cursor.execute("SELECT count(*), pg_sleep(2) FROM runs_team")
    return HttpResponse(b"from the replica")
def lock():
    time.sleep(0.5)
    with psycopg.connect("{primary}") as other:
        other.execute("LOCK TABLE runs_team IN ACCESS EXCLUSIVE MODE")
    with psycopg.connect("{primary}") as other:
        other.execute("CREATE TABLE sends_it ()")
while not replica.standing.is_up_to_date():
    time.sleep(0.1)
locking = threading.Thread(target=lock)
locking.start()
print(replica.Middleware(None).process_view(RequestFactory().get("/runs/"), page, (), {{}}), replica.standing.is_gone)
locking.join()
"""


def test_a_page_that_is_in_the_way_of_the_replica_is_made_by_the_primary(cluster):
    code, url = IN_THE_WAY.format(primary=cluster.primary.url()), cluster.replica.url("traceml")
    done = places.manage(cluster.bounced, "shell", "-v0", "-c", code, DATABASE_REPLICA_URL=url)
    assert done.stdout == "None False\n", done.stderr  # None: Django asks the view again, and the primary


def test_another_database_is_not_read_as_a_replica(cluster):
    code = "from traceml_site.databases.replica import standing; print(standing.is_up_to_date())"
    url = cluster.replica.url(name="postgres")
    done = places.manage(cluster.bounced, "shell", "-v0", "-c", code, DATABASE_REPLICA_URL=url)
    assert (done.stdout, "names another database" in done.stderr) == ("False\n", True)
