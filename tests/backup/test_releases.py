"""Promise PS28: a database of every release comes up to this one, on both databases, with the same totals."""

import sqlite3
import zipfile
from contextlib import closing

import pytest

from tests.backup.places import done, opened
from tests.releases import RELEASES

#: What people would miss, by sums and by rows.
KEPT = {
    "runs_run": ["id", "energy_kwh", "emissions_kg", "duration_s", "measured_kwh"],
    "runs_projectusage": ["energy_kwh", "emissions_kg", "runs"],
    "runs_batch": ["LENGTH(series)"],
    "runs_device": ["elapsed_s", "busy_s"],
}
ROWS = ("runs_metric", "runs_stage", "runs_call", "runs_apitoken", "runs_user", "runs_deletedrun", "runs_sharelink")
KEPT |= {table: ["1"] for table in (*ROWS, "runs_badge", "runs_savedview", "runs_runrevision", "mfa_authenticator")}

#: The tables as that release had them, and its rows.
AS_IT_WAS = """
import sqlite3
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from runs.backup.move import copy_tables
MigrationExecutor(connection).migrate({seen})
copy_tables(sqlite3.connect({path!r}), connection)
"""


def kept(url: str) -> dict[str, tuple]:
    with opened(url) as rows:
        return {
            table: tuple(rows.execute(f"SELECT {', '.join(f'SUM({name})' for name in names)} FROM {table}").fetchone())
            for table, names in KEPT.items()
        }


def like(figures: dict[str, tuple]) -> dict:
    return {table: pytest.approx([float(value) for value in row], rel=1e-9) for table, row in figures.items()}


@pytest.fixture(params=RELEASES, ids=lambda path: path.stem)
def old(request, tmp_path) -> str:
    """The database as the release left it."""
    with zipfile.ZipFile(request.param) as archive:
        archive.extract("database.sqlite3", tmp_path)
    return f"sqlite:///{tmp_path}/database.sqlite3"


def test_on_sqlite(old):
    before = kept(old)
    done(old, "migrate", "-v0")
    assert kept(old) == like(before)


def test_on_postgresql(old, empty_postgres):
    before = kept(old)
    with closing(sqlite3.connect(old.removeprefix("sqlite:///"))) as source:
        seen = source.execute("SELECT app, name FROM django_migrations").fetchall()
    done(empty_postgres, "shell", "-v0", "-c", AS_IT_WAS.format(seen=seen, path=old.removeprefix("sqlite:///")))
    assert kept(empty_postgres) == like(before)
    done(empty_postgres, "migrate", "-v0")
    assert kept(empty_postgres) == like(before)
