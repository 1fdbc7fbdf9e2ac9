"""SQLite backups with its online backup, which reads a consistent snapshot while others write."""

import shutil
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper

from runs.backup import archive as file
from runs.backup import totals

MEMBER = "database.sqlite3"


def copy_into(archive: zipfile.ZipFile, connection: BaseDatabaseWrapper, folder: Path) -> tuple[list, totals.Totals]:
    """Add a copy of the database to the archive; returns the migrations and totals of that copy."""
    path = folder / MEMBER
    connection.ensure_connection()
    with closing(sqlite3.connect(path)) as copy:
        # In one step: between several, a write of another process would restart the copy.
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    with closing(opened(connection, path)) as read:
        found = file.migrations_of(read), totals.of(read)
    archive.write(path, MEMBER, zipfile.ZIP_DEFLATED, compresslevel=1)
    return found


def copy_from(archive: zipfile.ZipFile, connection: BaseDatabaseWrapper) -> None:
    """Replace the whole database by the archive's copy, in one transaction."""
    place = Path(connection.settings_dict["NAME"])
    if not place.parent.is_dir():
        raise CommandError(f"The folder {place.parent} does not exist. Create it first.")
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".traceml-restore-") as folder:
        path = Path(folder) / MEMBER
        with archive.open(MEMBER) as packed, path.open("wb") as copy:
            shutil.copyfileobj(packed, copy)
        connection.ensure_connection()
        with closing(sqlite3.connect(path)) as copy:
            copy.backup(connection.connection)
        connection.close()  # its knowledge of the tables is outdated


def opened(connection: BaseDatabaseWrapper, path: Path) -> BaseDatabaseWrapper:
    """A connection like this one to another file, keeping that file's journal mode."""
    other = connection.copy()
    other.settings_dict |= {"NAME": str(path), "OPTIONS": {}}
    return other
