"""Checks of the target of a restore or move: it must be empty, and of this release or an older one."""

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from runs.models import Run, Team, User


def refuse_unless_empty(connection: BaseDatabaseWrapper) -> None:
    """Raise CommandError if people, teams or runs would be lost; rows of a fresh installation may be replaced."""
    there = connection.introspection.table_names()
    for model in (User, Team, Run):
        if model._meta.db_table in there and (count := _count(connection, model._meta.db_table)):
            named = model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural
            raise CommandError(f"The database is not empty: it has {count} {named}. Use an empty database.")


def refuse_newer(migrations: list[list[str]], connection: BaseDatabaseWrapper) -> None:
    """Raise CommandError for migrations that this release does not have."""
    known = MigrationExecutor(connection).loader.disk_migrations
    ours = {app for app, _ in known}
    if newer := [name for app, name in migrations if app in ours and (app, name) not in known]:
        raise CommandError(
            f"The backup was created by a newer release (migration {newer[0]}). Install that release first."
        )


def refuse_pending(connection: BaseDatabaseWrapper) -> None:
    """Raise CommandError if migrations are pending."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError("The database is of an older release. Run migrate first.")


def _count(connection: BaseDatabaseWrapper, table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608 (a name of ours)
        return cursor.fetchone()[0]
