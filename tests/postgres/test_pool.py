"""The connections that the threads of a web process share."""

import os
import subprocess
import sys
import threading
import time

import pytest

from tests.backup.places import KEY, ROOT
from tests.postgres import servers
from tests.postgres.conftest import Portal
from tests.serving import servers as serving

pytestmark = servers.needed

#: Threads that all have a connection at once.
THREADS = 6
COUNT = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'traceml' AND application_name = 'pooled'"


@pytest.fixture
def pooled(cluster, tmp_path):
    """A portal without PgBouncer and replica, whose pool has no more connections than it needs."""
    url = f"{cluster.primary.url('traceml')}?application_name=pooled"
    with serving.portal(url, tmp_path / "log", WEB_CONCURRENCY="2", DATABASE_POOL_SIZE="4") as port:
        yield Portal(port, cluster)


def at_once(portal: Portal, path: str, count: int = THREADS) -> list[int]:
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(portal.ask(path)[0])) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return got


def test_it_is_shared_by_threads_and_survives_a_restart_of_the_server(pooled, cluster):
    assert at_once(pooled, "/runs/", 12) == [200] * 12
    assert 1 <= cluster.primary.ask(COUNT) <= 2 * 4
    cluster.primary.stop()
    began = time.monotonic()
    assert pooled.ask("/runs/")[0] == 503
    assert "The database is busy" in pooled.ask("/api/v1/runs")[1]
    assert time.monotonic() - began < 20
    cluster.primary.start()
    assert at_once(pooled, "/runs/") == [200] * THREADS
    assert [pooled.ask("/runs/")[0] for _ in range(8)] == [200] * 8


FORKED = """
import os
import django
django.setup()
from django.db import connection
from runs.models import Team
Team.objects.count()  # opens the pool
connection.close()
child = os.fork()
if not child:
    print(Team.objects.count() >= 1, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(Team.objects.count() >= 1)
"""


def test_a_process_that_is_forked_opens_its_own(cluster):
    environment = os.environ | {"DATABASE_URL": cluster.primary.url("traceml"), "DATABASE_POOL_SIZE": "2"}
    environment |= {"DJANGO_SETTINGS_MODULE": "tests.served", "SECRET_KEY": KEY}
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", FORKED]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")
