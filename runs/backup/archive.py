"""The backup file: a zip of the database, in the format of its own tools, and `about.json` with its contents."""

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from runs.backup import postgres, sqlite, totals

FORMAT = 1
ABOUT = "about.json"
ENGINES = {"sqlite": sqlite, "postgresql": postgres}
#: Names of the databases in messages.
CALLED = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def write(connection: BaseDatabaseWrapper, path: Path) -> dict:
    """Write the backup to a temporary file, then rename it: `path` is a complete backup or does not exist.

    Returns the contents of `about.json`. Raises CommandError if `path` exists or the database's tool failed.
    """
    if path.exists():
        raise CommandError(f"{path} already exists. Choose another name.")
    if not path.parent.is_dir():
        raise CommandError(f"The folder {path.parent} does not exist. Create it first.")
    if not totals.tables(connection):
        raise CommandError("The database is empty. Check that DATABASE_URL or TRACEML_DATA is that of the portal.")
    engine = ENGINES[connection.vendor]
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".traceml-backup-") as folder:
        part = Path(folder) / "part"
        with _private(part) as file, zipfile.ZipFile(file, "w") as archive:
            found = engine.copy_into(archive, connection, Path(folder))
            about = _about(connection.vendor, *found)
            archive.writestr(ABOUT, json.dumps(about, indent=1), zipfile.ZIP_DEFLATED)
        part.replace(path)
    return about


def read_about(path: Path, connection: BaseDatabaseWrapper) -> dict:
    """The contents of a backup's `about.json`.

    Raises CommandError if the file is invalid, or of another kind of database or a newer release.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(ABOUT))
            known = about["format"] == FORMAT and about["engine"] in ENGINES
            damaged = archive.testzip()
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
        raise CommandError(f"{path} is not a TraceML backup, or it is damaged.") from None
    if damaged:
        raise CommandError(f"{path} is damaged.")
    if not known:
        raise CommandError(f"{path} was created by a newer release. Install that release to restore it.")
    if about["engine"] != connection.vendor:
        here, there = CALLED[connection.vendor], CALLED[about["engine"]]
        way = ". Restore it to SQLite, then run move_database" if about["engine"] == "sqlite" else ""
        raise CommandError(f"{path} is a backup of {there}, but DATABASE_URL names {here}{way}.")
    return about


def read(path: Path, about: dict, connection: BaseDatabaseWrapper) -> list[str]:
    """Replace the tables of the connection's database by the backup; returns the totals that differ."""
    with zipfile.ZipFile(path) as archive:
        ENGINES[about["engine"]].copy_from(archive, connection)
    return totals.differences(about["totals"], totals.of(connection, about["totals"]))


def _about(vendor: str, migrations: list, held: totals.Totals) -> dict:
    made_at = timezone.now().isoformat(timespec="seconds")
    return {"format": FORMAT, "engine": vendor, "made_at": made_at, "migrations": migrations, "totals": held}


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A file that only its owner may read, synced to disk when the block ends."""
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:  # noqa: PTH123 (has no mode)
        yield file
        file.flush()
        os.fsync(file.fileno())


def migrations_of(connection: BaseDatabaseWrapper) -> list[list[str]]:
    """The migrations that were applied to the database."""
    return sorted(list(key) for key in MigrationRecorder(connection).applied_migrations())
