"""PostgreSQL backups with pg_dump and pg_restore, which must be installed on this machine."""

import os
import shutil
import subprocess
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

from django.core.management.base import CommandError
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.client import DatabaseClient

from runs.backup import archive as file
from runs.backup import totals

MEMBER = "database.dump"
#: No prompts, and no owners or privileges: the target database decides them.
PLAIN = ("--no-password", "--no-owner", "--no-privileges")


def copy_into(archive: zipfile.ZipFile, connection: BaseDatabaseWrapper, folder: Path) -> tuple[list, totals.Totals]:
    """Add a dump to the archive; returns migrations and totals of the same snapshot."""
    _refuse_pooler(connection)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        lift_time_limit(connection)
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        with archive.open(MEMBER, "w", force_zip64=True) as packed:
            words = ["pg_dump", "--format=custom", f"--snapshot={snapshot}", *PLAIN]
            _call(words, connection, lambda process: shutil.copyfileobj(process.stdout, packed), stdout=subprocess.PIPE)
        return file.migrations_of(connection), totals.of(connection)


def copy_from(archive: zipfile.ZipFile, connection: BaseDatabaseWrapper) -> None:
    """Drop all tables and functions, then restore the archive's dump in one transaction."""
    _refuse_pooler(connection)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        lift_time_limit(connection)
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)} CASCADE")
        cursor.execute(
            "SELECT oid::regprocedure FROM pg_proc WHERE starts_with(proname, 'runs_') "
            "AND pronamespace = current_schema()::regnamespace"
        )
        for (function,) in cursor.fetchall():
            cursor.execute(f"DROP FUNCTION IF EXISTS {function} CASCADE")
    connection.close()
    with archive.open(MEMBER) as packed:

        def fill(process: subprocess.Popen) -> None:
            assert process.stdin  # noqa: S101 (a pipe, as asked for)
            with process.stdin as pipe:
                shutil.copyfileobj(packed, pipe)

        words = ["pg_restore", "--single-transaction", "--exit-on-error", *PLAIN, "--dbname"]
        _call(words, connection, fill, stdin=subprocess.PIPE)


def _refuse_pooler(connection: BaseDatabaseWrapper) -> None:
    """PostgreSQL's tools change settings of their session, such as the schema, which others would then find changed."""
    if connection.is_behind_pooler:  # type: ignore[attr-defined]  # of traceml_site.databases.postgresql
        raise CommandError("DATABASE_URL names a pooler such as PgBouncer. Use the server's own address for this.")


def lift_time_limit(connection: BaseDatabaseWrapper) -> None:
    """Remove the time limit of statements (5 s for pages) in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")


def _call(words: list[str], connection: BaseDatabaseWrapper, talk, **pipes) -> None:
    """Run a PostgreSQL tool on the database, with the password in its environment, not in its arguments."""
    arguments, secrets = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, words[1:])
    command, environment = [words[0], *arguments[1:]], {**os.environ, **(secrets or {})}
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(command, env=environment, stderr=said, **pipes)
        except FileNotFoundError:
            raise CommandError(
                f"{words[0]} was not found. Install the PostgreSQL client (postgresql-client)."
            ) from None
        with process, suppress(BrokenPipeError):  # the tool has printed the reason
            talk(process)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    if process.returncode:
        raise CommandError(f"{words[0]} failed: {lines[0] if lines else f'exit status {process.returncode}'}")
