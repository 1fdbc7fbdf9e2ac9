"""The move from SQLite to PostgreSQL: every table as it is, in one transaction, with nothing lost or added."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from runs.backup import totals
from runs.backup.postgres import lift_time_limit

#: Rows in memory at a time; one with a run's samples may have 1 MB.
AT_ONCE = 100
ALIAS = "moved_to"


def move(source: BaseDatabaseWrapper, target: BaseDatabaseWrapper) -> totals.Totals:
    """Copy all of a SQLite database into a migrated PostgreSQL one; returns what both hold.

    Writers wait for the end of it, so that nothing arrives behind its back. Raises CommandError, and leaves the target
    as it was, where something can't be taken over.
    """
    with _held(source) as rows:
        try:
            with transaction.atomic(using=target.alias):
                copy_tables(rows, target)
                held = totals.of(source)
                if different := totals.differences(held, totals.of(target, held)):
                    raise CommandError(f"Nothing was moved: {different[0]}")
        except DatabaseError as error:
            raise CommandError(f"Nothing was moved: {' '.join(str(error).splitlines())}") from None
    return held


def copy_tables(source: sqlite3.Connection, target: BaseDatabaseWrapper) -> None:
    """Replace the rows of all of the target's tables by the source's; both are of the same migrations."""
    names = [name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    names = [name for name in names if not name.startswith("sqlite_") and name not in totals.UNCOMPARED]
    quote = target.ops.quote_name
    # In one transaction: until its end rows may point to those of tables that come later.
    with transaction.atomic(using=target.alias), target.cursor() as cursor:
        lift_time_limit(target)
        cursor.execute(f"TRUNCATE {', '.join(map(quote, totals.tables(target)))}")
        for name in names:
            _copy(source, name, cursor, quote)
            for sequence in target.introspection.get_sequences(cursor, name):
                _go_on_after_the_last(cursor, quote, name, sequence["column"])


def _copy(source: sqlite3.Connection, name: str, cursor, quote) -> None:
    """By COPY: both databases write dates, JSON, ids and truth values in ways that PostgreSQL reads as text."""
    columns = ", ".join(quote(row[1]) for row in source.execute(f"PRAGMA table_info({quote(name)})"))
    rows = source.execute(f"SELECT {columns} FROM {quote(name)}")  # noqa: S608 (names of the database's own)
    rows.arraysize = AT_ONCE
    copying = cursor.copy(f"COPY {quote(name)} ({columns}) FROM STDIN")
    with cursor.db.wrap_database_errors, copying as pipe:
        while some := rows.fetchmany():
            for row in some:
                pipe.write_row(row)


def _go_on_after_the_last(cursor, quote, table: str, column: str) -> None:
    """COPY brings ids of its own; the next row made here must not get one of them."""
    cursor.execute(
        f"SELECT setval(pg_get_serial_sequence(%s, %s), COALESCE(MAX({quote(column)}), 1), COUNT(*) > 0)"  # noqa: S608
        f" FROM {quote(table)}",
        [quote(table), column],
    )


@contextmanager
def _held(source: BaseDatabaseWrapper) -> Iterator[sqlite3.Connection]:
    """The rows as SQLite itself has them, with its write lock held."""
    with closing(sqlite3.connect(source.settings_dict["NAME"], isolation_level=None)) as rows:
        try:
            rows.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise CommandError(f"Nothing was moved: {error}; stop the portal first.") from None
        yield rows


@contextmanager
def opened(config: dict) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a database that the settings don't name."""
    connections.databases[ALIAS] = {**connections.databases["default"], "OPTIONS": {}, **config}
    try:
        yield connections[ALIAS]
    finally:
        connections[ALIAS].close()
        del connections[ALIAS], connections.databases[ALIAS]


def make_tables(url: str) -> None:
    """Migrate another database, in a process of its own: migrations write to the default one."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--verbosity", "0"]
    done = subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(
            f"The tables could not be made: {(done.stderr.strip() or 'migrate failed').splitlines()[-1]}"
        )
