"""Locks that a transaction takes or does not wait for, in each database's own SQL."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection, models, transaction

#: For PostgreSQL, 0 means no limit.
LEAST_WAIT = "1ms"
#: Prevents deletion of a row while others may do the same; SQLite only has one writer at a time anyway.
SHARED_LOCK = {"postgresql": "FOR KEY SHARE"}
ONE_VIEW = {"postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "sqlite": "BEGIN DEFERRED"}


@contextmanager
def without_waiting() -> Iterator[None]:
    """Make queries raise OperationalError immediately instead of waiting for another writer."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            (before_ms,) = cursor.execute("PRAGMA busy_timeout").fetchone()
            cursor.execute("PRAGMA busy_timeout = 0")
            try:
                yield
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {before_ms}")
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LEAST_WAIT}'")
            yield
            cursor.execute("SET LOCAL lock_timeout = 0")


def keep_from_deletion(ids: Iterable[int], model: type[models.Model]) -> set[int]:
    """Lock these rows of a table, sorted by id, until the transaction ends; returns those that exist."""
    table, lock = connection.ops.quote_name(model._meta.db_table), SHARED_LOCK.get(connection.vendor, "")
    wanted = sorted(set(ids))
    places = ", ".join(["%s"] * len(wanted)) or "NULL"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table} WHERE id IN ({places}) ORDER BY id {lock}", wanted)  # noqa: S608 (names of ours)
        return {row[0] for row in cursor.fetchall()}


@contextmanager
def one_view() -> Iterator[None]:
    """Read the database as of one instant, without blocking writers."""
    if connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(ONE_VIEW[connection.vendor])
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")
