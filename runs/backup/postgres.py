"""PostgreSQL's part: pg_dump and pg_restore, which have to be on the machine that calls them."""

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
#: Nobody is asked anything; which role owns the tables is the place's own business.
PLAIN = ("--no-password", "--no-owner", "--no-privileges")


def copy_into(archive: zipfile.ZipFile, connection: BaseDatabaseWrapper, folder: Path) -> tuple[list, totals.Totals]:
    """Put a dump into the archive; returns migrations and totals as of the very snapshot that it was made from."""
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
    """Drop what the database holds, then restore the archive's dump in one transaction."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        lift_time_limit(connection)
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)} CASCADE")
    connection.close()
    with archive.open(MEMBER) as packed:

        def fill(process: subprocess.Popen) -> None:
            assert process.stdin  # noqa: S101 (a pipe, as asked for)
            with process.stdin as pipe:
                shutil.copyfileobj(packed, pipe)

        words = ["pg_restore", "--single-transaction", "--exit-on-error", *PLAIN, "--dbname"]
        _call(words, connection, fill, stdin=subprocess.PIPE)


def lift_time_limit(connection: BaseDatabaseWrapper) -> None:
    """Let the statements of this transaction take their time: those of pages end after 5 s."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")


def _call(words: list[str], connection: BaseDatabaseWrapper, talk, **pipes) -> None:
    """Run one of PostgreSQL's tools on the database; the password travels by the environment, not by its arguments."""
    arguments, secrets = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, words[1:])
    command, environment = [words[0], *arguments[1:]], {**os.environ, **(secrets or {})}
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(command, env=environment, stderr=said, **pipes)
        except FileNotFoundError:
            raise CommandError(f"{words[0]} is missing: install PostgreSQL's client (postgresql-client).") from None
        with process, suppress(BrokenPipeError):  # then the tool has said why
            talk(process)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    if process.returncode:
        raise CommandError(f"{words[0]} failed: {lines[0] if lines else f'exit status {process.returncode}'}")
