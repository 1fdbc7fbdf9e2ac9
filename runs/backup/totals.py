"""Totals of a database, to compare two of them: the rows of each table and the sums of its numbers.

Read from the tables, not from the models: a backup may be older than the code that restores it.
"""

import math
from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

ROWS = "*"
#: Table → `*` and columns → rows, sums of absolute values (signs don't cancel out) and bytes.
Totals = dict[str, dict[str, float]]

#: Databases add up numbers in different order.
TOLERANCE = 1e-9
UNCOMPARED = ("django_migrations",)
#: Tables that triggers fill, and the parts of SQLite's indexes of words.
KEPT = ("runs_runsums", "runs_runwords", "runs_names", "runs_items")


def of(connection: BaseDatabaseWrapper, names: Totals | None = None) -> Totals:
    """The totals of every table, or of those tables and columns that `names` has (a missing table has no rows)."""
    there = tables(connection)
    if names is None:
        names = {table: dict.fromkeys(_columns(connection, table), 0.0) for table in there}
    return {table: _of_table(connection, table, list(columns)) for table, columns in names.items() if table in there}


def tables(connection: BaseDatabaseWrapper) -> list[str]:
    """Every table that holds data."""
    return sorted(name for name in connection.introspection.table_names() if is_compared(name))


def is_compared(name: str) -> bool:
    return name not in UNCOMPARED and not name.startswith(KEPT)


def differences(expected: Totals, found: Totals) -> list[str]:
    """One line for each total that differs."""
    return [
        f"{table}.{name}: {value:g} before, {other:g} now"
        for table, columns in expected.items()
        for name, value in columns.items()
        if not _same(value, other := found.get(table, {}).get(name, 0.0))
    ]


def summary(totals: Totals) -> str:
    """Number of runs and total energy, in words."""
    runs = totals.get("runs_run", {})
    return f"{runs.get(ROWS, 0):,.0f} runs, {runs.get('energy_kwh', 0):,.2f} kWh"


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE) or (math.isnan(one) and math.isnan(other))


def _columns(connection: BaseDatabaseWrapper, table: str) -> Iterator[str]:
    introspection = connection.introspection
    yield ROWS
    with connection.cursor() as cursor:
        for column in introspection.get_table_description(cursor, table):
            kind = introspection.get_field_type(column.type_code, column)
            if isinstance(kind, tuple):
                kind = kind[0]
            if kind.endswith(("IntegerField", "FloatField", "AutoField", "BinaryField")):
                yield f"{column.name} bytes" if kind == "BinaryField" else column.name


def _of_table(connection: BaseDatabaseWrapper, table: str, columns: list[str]) -> dict[str, float]:
    quote = connection.ops.quote_name
    terms = [_term(quote, column) for column in columns]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(terms)} FROM {quote(table)}")  # noqa: S608 (names of the database's own)
        return {column: float(value or 0) for column, value in zip(columns, cursor.fetchone(), strict=True)}


def _term(quote, column: str) -> str:
    if column == ROWS:
        return "COUNT(*)"
    name, _, is_bytes = column.partition(" ")
    # Times 1.0: SQLite fails if a sum of integers exceeds 64 bits.
    return f"SUM(1.0 * LENGTH({quote(name)}))" if is_bytes else f"SUM(ABS(1.0 * {quote(name)}))"
