"""Writes that are worth no waiting: what they tell is told again soon."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

#: PostgreSQL takes 0 for no limit.
LEAST_WAIT = "1ms"


@contextmanager
def without_waiting() -> Iterator[None]:
    """Queries raise OperationalError at once where they would have to wait for another writer."""
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
