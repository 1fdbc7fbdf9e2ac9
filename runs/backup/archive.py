"""The file of a backup: a zip of the database, as its own tools read it, and of `about.json`, what it holds."""

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
#: A backup of either database, for people.
CALLED = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def write(connection: BaseDatabaseWrapper, path: Path) -> dict:
    """Write the backup beside its place, then move it there: `path` is a whole backup or not there at all.

    Returns what it holds. Raises CommandError where `path` is taken or the database's tool failed.
    """
    if path.exists():
        raise CommandError(f"{path} is there already; choose another name.")
    if not path.parent.is_dir():
        raise CommandError(f"The folder {path.parent} is not there; make it first.")
    if not totals.tables(connection):
        raise CommandError("The database is empty: is DATABASE_URL, or TRACEML_DATA, that of the portal?")
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
    """What a backup holds. Raises CommandError for a file that is none, or none for this database or release."""
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(ABOUT))
            known = about["format"] == FORMAT and about["engine"] in ENGINES
            damaged = archive.testzip()
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
        raise CommandError(f"{path} is not a backup of TraceML, or it is damaged.") from None
    if damaged:
        raise CommandError(f"{path} is damaged.")
    if not known:
        raise CommandError(f"{path} was made by a newer release; install that one to restore it.")
    if about["engine"] != connection.vendor:
        here, there = CALLED[connection.vendor], CALLED[about["engine"]]
        way = "; restore it to SQLite, then run move_database" if about["engine"] == "sqlite" else ""
        raise CommandError(f"{path} is a backup of {there}, but DATABASE_URL names {here}{way}.")
    return about


def read(path: Path, about: dict, connection: BaseDatabaseWrapper) -> list[str]:
    """Put a backup into the connection's database, whose tables it replaces; returns totals that differ."""
    with zipfile.ZipFile(path) as archive:
        ENGINES[about["engine"]].copy_from(archive, connection)
    return totals.differences(about["totals"], totals.of(connection, about["totals"]))


def _about(vendor: str, migrations: list, held: totals.Totals) -> dict:
    made_at = timezone.now().isoformat(timespec="seconds")
    return {"format": FORMAT, "engine": vendor, "made_at": made_at, "migrations": migrations, "totals": held}


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A file that its owner alone may read, on the disk when the block ends."""
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:  # noqa: PTH123 (has no mode)
        yield file
        file.flush()
        os.fsync(file.fileno())


def migrations_of(connection: BaseDatabaseWrapper) -> list[list[str]]:
    """The migrations that the database has seen."""
    return sorted(list(key) for key in MigrationRecorder(connection).applied_migrations())
