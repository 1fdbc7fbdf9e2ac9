"""Databases of a test's own, told apart by their URLs, and what they hold row by row."""

import json
import os
import secrets
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest

from runs.backup.totals import is_compared

ROOT = Path(__file__).resolve().parents[2]
SERVER = os.environ.get("TEST_DATABASE_URL", "")
KEY = os.environ["SECRET_KEY"]  # tests.settings made it


def manage(url: str, *words: object, **environment: str) -> subprocess.CompletedProcess:
    """`manage.py WORDS` on a database, with what it said."""
    settings = {"DATABASE_URL": url, "SECRET_KEY": KEY, "DJANGO_SETTINGS_MODULE": "tests.served", **environment}
    command = [sys.executable, str(ROOT / "manage.py"), *map(str, words)]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=300)


def done(url: str, *words: object) -> str:
    """What a command printed that has to go well."""
    answer = manage(url, *words)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def refused(url: str, *words: object, **environment: str) -> str:
    """The one sentence of a command that has to be refused."""
    answer = manage(url, *words, **environment)
    assert answer.returncode == 1
    assert answer.stderr.startswith("CommandError: ")
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    return answer.stderr


def new_postgres(like: str = "") -> Iterator[str]:
    """A database on the server that TEST_DATABASE_URL names, empty or a copy of another; gone afterwards."""
    if not SERVER:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL server")
    name = f"test_traceml_{os.getpid()}_{secrets.token_hex(4)}"
    with psycopg.connect(SERVER.rpartition("/")[0] + "/postgres", autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{like.rpartition("/")[2]}"' if like else ""))
        yield f"{SERVER.rpartition('/')[0]}/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def emptied(url: str) -> str:
    """The tables without what people made: a portal that was just set up."""
    with opened(url) as rows:
        for table in ("runs_run", "runs_team", "runs_user"):
            rows.execute(f"DELETE FROM {table}" if is_sqlite(url) else f"TRUNCATE {table} CASCADE")
    return url


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


def opened(url: str):
    """A connection by the driver alone."""
    if is_sqlite(url):
        return closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20, isolation_level=None))
    return psycopg.connect(url, autocommit=True)


def everything(url: str) -> dict[str, list]:
    """Every row of every table, in one form whatever the database, without what migrations note and triggers keep."""
    names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    if is_sqlite(url):
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    with opened(url) as rows:
        tables = [name for (name,) in rows.execute(names).fetchall() if is_compared(name)]
        return {name: _as_rows(rows.execute(f'SELECT * FROM "{name}"')) for name in tables}


def _as_rows(cursor) -> list:
    names = [column[0] for column in cursor.description]
    return sorted((sorted(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()), key=repr)


def _plain(value):
    """SQLite keeps ids, dates, truth values and JSON as text and numbers."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, uuid.UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value[:1] in '{["':
        return _loaded(value)
    return value


def _loaded(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return text
