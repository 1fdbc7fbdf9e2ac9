"""Django's PostgreSQL backend: asked for nothing that it can't store, and safe behind PgBouncer in transaction mode.

There, each transaction may meet another server connection. What a session keeps is lost or, worse, found by others:
the time limit of statements, which PgBouncer drops from the start of a connection, and cursors on the server.
"""

import os

from django.db import OperationalError
from django.db.backends.postgresql import base, features, operations, schema
from django.utils.functional import cached_property
from psycopg_pool import ConnectionPool

from traceml_site.databases.storable import refuse_odd_values

NO_TIME_LIMIT = (
    "A pooler such as PgBouncer dropped the time limit of statements."
    " Set it for the role: ALTER ROLE name SET statement_timeout = '5s', then restart the pooler."
)
#: On Citus every unique key of a distributed table contains this column, or none of the table's does.
SPREAD_BY = "project_id"
#: How often a connection is asked the same by `frequent` before the server keeps its plan.
PLAN_AFTER = 5
#: Pools of the process that this one was forked from; kept, because to delete one would wait for its threads.
_of_parent: list[dict] = []


class DatabaseFeatures(features.DatabaseFeatures):
    connection: "DatabaseWrapper"

    @cached_property
    def supports_foreign_keys(self) -> bool:  # type: ignore[override]
        """Migrations make none on Citus: one to a reference table binds the new table, which then can't be spread."""
        return not self.connection.is_distributed

    @cached_property
    def allows_group_by_selected_pks(self) -> bool:  # type: ignore[override]
        """On Citus an id alone is no primary key, so that groups name every column."""
        return not self.connection.is_distributed


class DatabaseOperations(operations.DatabaseOperations):
    connection: "DatabaseWrapper"

    def on_conflict_suffix_sql(self, fields, on_conflict, update_fields, unique_fields):
        """On Citus, name the key as `manage.py distribute` has left it: with the project."""
        unique = list(unique_fields or [])
        widened = unique and SPREAD_BY not in unique and SPREAD_BY in [field.column for field in fields]
        if widened and self.connection.is_distributed:
            unique.append(SPREAD_BY)
        return super().on_conflict_suffix_sql(fields, on_conflict, update_fields, unique)

    def last_executed_query(self, cursor, sql, params):
        """For logs and tests; a cursor of `frequent` never had its values in the text."""
        if isinstance(cursor, base.ServerBindingCursor):
            return self.compose_sql(sql, params)
        return super().last_executed_query(cursor, sql, params)


class SchemaEditor(schema.DatabaseSchemaEditor):
    """Migrations of large tables have no time limit, also behind a pooler."""

    def __enter__(self):
        super().__enter__()
        if self.atomic_migration:
            self.execute("SET LOCAL statement_timeout = 0")
        return self


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = SchemaEditor
    features_class = DatabaseFeatures
    ops_class = DatabaseOperations

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.execute_wrappers.append(refuse_odd_values)

    @cached_property
    def is_distributed(self) -> bool:
        """Whether `manage.py distribute` has spread tables; asked once per connection, unseen by counts of queries."""
        self.ensure_connection()
        with self.wrap_database_errors:
            (citus,) = self.connection.execute("SELECT to_regclass('pg_dist_partition') IS NOT NULL").fetchone()
            spread = "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE partmethod = 'h')"
            return citus and self.connection.execute(spread).fetchone()[0]

    @property
    def is_behind_pooler(self) -> bool:
        """Whether a pooler answers for the server: it doesn't know the process that serves the next query."""
        self.ensure_connection()
        return self.connection.is_behind_pooler

    def get_new_connection(self, conn_params):
        """Take one from the pool that works. After a restart of the server, none does, and all are replaced.

        The pool's own check waits a second after the first that it finds broken, then two, then four.
        """
        connection = super().get_new_connection(conn_params)
        if self.pool:
            try:
                ConnectionPool.check_connection(connection)
            except self.Database.OperationalError:
                self.pool.drain()
                self.pool.putconn(connection)
                connection = self.pool.getconn()
        return connection

    def frequent(self):
        """Return a cursor for statements of every upload, which the server plans once: that was half of their time.

        Not behind a pooler, where each transaction may meet a server connection that never heard of the plan. Nor on
        Citus, which finds the machine of a row by the values in the text.
        """
        if self.is_distributed:
            return self.cursor()
        self.ensure_connection()
        with self.wrap_database_errors:
            cursor = base.ServerBindingCursor(self.connection)  # type: ignore[call-arg]  # the stubs are of psycopg 2
            return self._prepare_cursor(cursor)  # type: ignore[attr-defined]  # the stubs have the public part

    def chunked_cursor(self):
        """Outside a transaction, a cursor on the server needs the same server connection for each part of its rows."""
        return self.cursor() if self.is_behind_pooler and not self.in_atomic_block else super().chunked_cursor()

    def _configure_connection(self, connection):
        """Called for each new connection, with or without a pool."""
        commit = super()._configure_connection(connection)  # type: ignore[misc]  # the stubs have the public part
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), current_setting('statement_timeout')")
            pid, limit = cursor.fetchone()
        connection.is_behind_pooler = pid != connection.info.backend_pid
        connection.prepare_threshold = None if connection.is_behind_pooler else PLAN_AFTER
        if connection.is_behind_pooler and limit == "0":
            raise OperationalError(NO_TIME_LIMIT)
        return commit


def _leave_pools_to_parent() -> None:
    """After a fork: the threads of its pools are not here, and its connections are not ours."""
    pools = DatabaseWrapper._connection_pools  # type: ignore[attr-defined]
    _of_parent.append(dict(pools))
    pools.clear()


os.register_at_fork(after_in_child=_leave_pools_to_parent)
