"""Behind PgBouncer in transaction mode, set up as docs/deploy.md says, everything works as without it."""

import os
import subprocess
import sys

from tests.backup import places
from tests.postgres import servers
from tests.postgres.conftest import until

pytestmark = servers.needed

TRACKED = """
import traceml_agent
with traceml_agent.track("digits", name="through the pooler") as run:
    sum(range(10**6))
print(run.summary.url)
"""
SLEEP = "from django.db import connection; connection.cursor().execute('SELECT pg_sleep(20)')"
#: Half of the rows, then a transaction of another, which gets the server's connection, then the rest.
IN_PARTS = """
import threading
from django.db import connection, transaction
from django.contrib.auth.models import Permission
rows = Permission.objects.order_by("pk").iterator(chunk_size=10)
some = [next(rows)]
def other():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        begun.set()
        done.wait()
begun, done = threading.Event(), threading.Event()
threading.Thread(target=other).start()
begun.wait()
try:
    print(len(some + list(rows)))
finally:
    done.set()
"""


def shell(url: str, code: str) -> subprocess.CompletedProcess:
    return places.manage(url, "shell", "--verbosity", 0, "--command", code)


def test_the_agent_uploads_a_run(portal, cluster, tmp_path):
    settings = {"URL": f"http://127.0.0.1:{portal.port}", "TOKEN": cluster.token, "SPOOL_DIR": str(tmp_path)}
    environment = os.environ | {f"TRACEML_AGENT_{name}": value for name, value in settings.items()}
    done = subprocess.run([sys.executable, "-c", TRACKED], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    path = "/runs/" + done.stdout.strip().partition("/runs/")[2]
    until(lambda: "through the pooler" in portal.ask(path)[1])


def test_a_statement_ends_when_its_time_is_over(cluster):
    said = shell(cluster.bounced, SLEEP).stderr
    assert "canceling statement due to statement timeout" in said


def test_a_pooler_that_drops_the_time_limit_is_refused_with_the_remedy(cluster):
    said = shell(cluster.bounced.replace("traceml:", "unlimited:"), SLEEP).stderr
    assert "ALTER ROLE name SET statement_timeout = '5s'" in said


def test_rows_that_are_read_in_parts_are_all_there(cluster):
    count = cluster.primary.ask("SELECT count(*) FROM auth_permission")
    assert shell(cluster.bounced, IN_PARTS).stdout == f"{count}\n"


def test_a_backup_asks_for_a_direct_connection(cluster, tmp_path):
    """pg_dump empties the search path of its session, and the next one to get that connection would find no tables."""
    assert "Use the server's own address" in places.refused(cluster.bounced, "backup", tmp_path / "today.backup")
