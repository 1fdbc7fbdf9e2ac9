"""The portal on Citus: `TEST_CITUS_URL` names a database of a coordinator with workers; others are made beside it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from django.apps import apps

from runs.scaling.tables import PLACES, TablePlace
from tests.documents import ROOT

URL = os.environ.get("TEST_CITUS_URL", "")
NAME = "traceml_distributed"
#: Of the suite, what says most in the shortest time; docs/scaling.md tells what the rest says.
SAYS_MOST = [
    "tests/api/test_put_batch.py",
    "tests/ingest/test_concurrency.py",
    "tests/ingest/test_folding.py",
    "tests/ingest/test_removal.py",
    "tests/ingest/test_trash.py",
    "tests/screens/test_queries.py",
    "tests/screens/run_list/test_run_filters.py",
]

if not URL:
    pytest.skip("left out: TEST_CITUS_URL names no Citus coordinator with workers", allow_module_level=True)


def named(database: str) -> str:
    return urlsplit(URL)._replace(path=f"/{database}").geturl()


def portal(*words: str) -> str:
    """What a command prints that is run by itself, as an administrator does, with the new database."""
    command = [sys.executable, *(["-m"] if words[0] == "pytest" else []), *words]
    environment = {**os.environ, "DATABASE_URL": named(NAME if words[0] == "pytest" else f"test_{NAME}")}
    del environment["TEST_CITUS_URL"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[tuple[str, int]]]:
    """A new database on every machine, empty, with the coordinator and its workers told of each other."""
    with psycopg.connect(URL) as connection:
        found = "SELECT nodename, nodeport, groupid = 0 FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid"
        machines = connection.execute(found).fetchall()
    drop = f'DROP DATABASE IF EXISTS "test_{NAME}" WITH (FORCE)'

    def on_each(*statements: str, database: str = urlsplit(URL).path[1:]) -> None:
        for host, port, _ in machines:
            with psycopg.connect(named(database), host=host, port=port, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement)

    on_each(drop, f'CREATE DATABASE "test_{NAME}"')
    on_each("CREATE EXTENSION citus", database=f"test_{NAME}")
    with psycopg.connect(named(f"test_{NAME}"), autocommit=True) as connection:
        for host, port, first in machines:
            connection.execute(
                f"SELECT {'citus_set_coordinator_host' if first else 'citus_add_node'}(%s, %s)", [host, port]
            )
    portal("manage.py", "migrate", "--verbosity", "0")
    yield machines
    on_each(drop)


def test_tables_are_distributed_step_by_step_and_what_is_done_stays(nodes):
    planned = portal("manage.py", "distribute", "--dry-run")
    assert portal("manage.py", "distribute", "--dry-run") == planned
    interrupted = "from runs.scaling import distribution as d; [d.run(step) for step in d.steps()[:3]]"
    portal("manage.py", "shell", "--no-imports", "-c", interrupted)
    done = portal("manage.py", "distribute").splitlines()
    assert done[0] not in planned.splitlines()[0] and done[-1] in planned.splitlines()
    assert portal("manage.py", "distribute") == "Everything is in its place.\n"


def test_every_table_is_where_the_plan_says(nodes):
    with psycopg.connect(named(f"test_{NAME}")) as connection:
        found = dict(connection.execute("SELECT table_name::text, citus_table_type FROM citus_tables"))
    planned = {apps.get_model(label)._meta.db_table: place for label, (place, _) in PLACES.items()}
    assert {table: found.get(table, TablePlace.LOCAL) for table in planned} == planned


@pytest.mark.parametrize("file", SAYS_MOST)
def test_the_portal_works_there_as_elsewhere(nodes, file):
    portal("pytest", "-q", "--reuse-db", "-p", "no:cacheprovider", file)
