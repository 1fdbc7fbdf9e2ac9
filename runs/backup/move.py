"""Move from SQLite to PostgreSQL: copy every table in one transaction, and compare the totals."""

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

#: Rows in memory at a time; a row with samples may have 1 MB.
AT_ONCE = 100
ALIAS = "moved_to"
#: What the target's triggers fill.
FILLED = {"runs_runsums", "runs_runwords"}


def move(source: BaseDatabaseWrapper, target: BaseDatabaseWrapper) -> totals.Totals:
    """Copy a SQLite database to a migrated PostgreSQL database; returns the totals of both.

    It blocks writers until it ends, so that nothing is missed. Raises CommandError, and leaves the target unchanged,
    if something can't be copied.
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
    """Replace the rows of all tables of the target by those of the source; both have the same migrations."""
    names = [name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    names = [name for name in names if not name.startswith("sqlite_") and totals.is_compared(name)]
    quote = target.ops.quote_name
    # In one transaction: until it ends, rows may refer to rows of tables that are copied later.
    with transaction.atomic(using=target.alias), target.cursor() as cursor:
        lift_time_limit(target)
        # Triggers fill the tables that are kept from others, as the rows arrive; older migrations had none.
        filled = FILLED & {*target.introspection.table_names(cursor)}
        cursor.execute(f"TRUNCATE {', '.join(map(quote, [*totals.tables(target), *sorted(filled)]))}")
        for name in names:
            _copy(source, name, cursor, quote)
            for sequence in target.introspection.get_sequences(cursor, name):
                _go_on_after_the_last(cursor, quote, name, sequence["column"])


def _copy(source: sqlite3.Connection, name: str, cursor, quote) -> None:
    """Use COPY: PostgreSQL can read SQLite's dates, JSON, ids and booleans as text."""
    columns = ", ".join(quote(row[1]) for row in source.execute(f"PRAGMA table_info({quote(name)})"))
    rows = source.execute(f"SELECT {columns} FROM {quote(name)}")  # noqa: S608 (names of the database's own)
    rows.arraysize = AT_ONCE
    copying = cursor.copy(f"COPY {quote(name)} ({columns}) FROM STDIN")
    with cursor.db.wrap_database_errors, copying as pipe:
        while some := rows.fetchmany():
            for row in some:
                pipe.write_row(row)


def _go_on_after_the_last(cursor, quote, table: str, column: str) -> None:
    """Set the sequence: COPY brought its own ids, and new rows must not reuse them."""
    cursor.execute(
        f"SELECT setval(pg_get_serial_sequence(%s, %s), COALESCE(MAX({quote(column)}), 1), COUNT(*) > 0)"  # noqa: S608
        f" FROM {quote(table)}",
        [quote(table), column],
    )


@contextmanager
def _held(source: BaseDatabaseWrapper) -> Iterator[sqlite3.Connection]:
    """A plain SQLite connection that holds the write lock."""
    with closing(sqlite3.connect(source.settings_dict["NAME"], isolation_level=None)) as rows:
        try:
            rows.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise CommandError(f"Nothing was moved: {error}. Stop the portal first.") from None
        yield rows


@contextmanager
def opened(config: dict) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a database that is not in the settings."""
    connections.databases[ALIAS] = {**connections.databases["default"], "OPTIONS": {}, **config}
    try:
        yield connections[ALIAS]
    finally:
        connections[ALIAS].close()
        del connections[ALIAS], connections.databases[ALIAS]


def make_tables(url: str) -> None:
    """Migrate another database in a separate process, because migrations write to the default database."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--verbosity", "0"]
    done = subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(
            f"The tables could not be created: {(done.stderr.strip() or 'migrate failed').splitlines()[-1]}"
        )
