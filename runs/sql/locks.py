"""Locks that a transaction takes or does not wait for, in each database's own SQL."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection, models, transaction

from runs.sql.within_project import is_distributed

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


def keep_from_deletion(ids: Iterable[int], model: type[models.Model], within: int | None = None) -> set[int]:
    """Lock these rows of a table, sorted by id, until the transaction ends; returns those that exist.

    `within` is the project of rows that have one: on Citus, only what names it can lock them.
    """
    table, lock = connection.ops.quote_name(model._meta.db_table), SHARED_LOCK.get(connection.vendor, "")
    wanted = sorted(set(ids))
    places = ", ".join(["%s"] * len(wanted)) or "NULL"
    if is_distributed() and within is None:
        share(model._meta.db_table, wanted)
        lock = ""
    where = f"id IN ({places})" if within is None else f"id IN ({places}) AND project_id = {within:d}"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table} WHERE {where} ORDER BY id {lock}", wanted)  # noqa: S608 (names of ours)
        return {row[0] for row in cursor.fetchall()}


def keep_from_uploads(model: type[models.Model], pk: int) -> None:
    """On Citus, wait for those that keep a row from deletion, and let others wait; elsewhere FOR UPDATE does it."""
    if is_distributed():
        _wait_in_line("pg_advisory_xact_lock", model._meta.db_table, [pk])


def share(table: str, ids: list[int]) -> None:
    """On Citus, keep rows of a table that is on every machine from deletion; elsewhere FOR KEY SHARE does it."""
    _wait_in_line("pg_advisory_xact_lock_shared", table, ids)


def _wait_in_line(lock: str, table: str, ids: list[int]) -> None:
    """Take an advisory lock for each row until the transaction ends.

    Two can't lock a row that is on every machine, not even with FOR KEY SHARE: Citus then locks the whole table in two
    steps, and most of fifty simultaneous headers ended in a deadlock.
    """
    with connection.cursor() as cursor:
        names = [f"{table} {pk}" for pk in ids]
        cursor.execute(f"SELECT {lock}(hashtextextended(name, 0)) FROM unnest(%s::text[]) AS name", [names])  # noqa: S608


def locked(rows: models.QuerySet, projects: Iterable[int], **how: bool) -> list:
    """Read and lock rows of these projects in a fixed order, so that two who do so can't deadlock.

    `how` is what `select_for_update` takes.

    On Citus one project at a time: a statement locks rows of one machine only, and only if it names the project.
    """
    rows = rows.select_for_update(of=("self",), **how).order_by("pk")
    if not is_distributed():
        return list(rows)
    return [row for project in sorted(projects) for row in rows.filter(project=project)]


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
