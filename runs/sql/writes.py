"""Writes of many rows in one statement of the driver, where the ORM can't do it or took several times as long."""

from collections.abc import Callable, Sequence

from django.db import connection, models

#: A remainder of less than this share of what was subtracted, or of less than the kWh of 0.4 mJ, is floating-point
#: error: it is set to 0, so that a day without runs does not show −0 kWh.
RESIDUE, LEAST = 1e-9, 1e-10


def upsert(model: type[models.Model], key: Sequence[str], amounts: Sequence[str], rows: list[tuple], put: bool) -> None:
    """Insert rows of `key` and `amounts`; in a row with the same key the amounts are added or replaced.

    bulk_create can replace the values of a row but not add to them, and one query per row took ten times as long.
    """
    quote = connection.ops.quote_name
    table, names = quote(model._meta.db_table), [*key, *amounts]
    value = _replaced if put else _added
    changed = ", ".join(f"{quote(name)} = {value(table, quote(name))}" for name in amounts)
    _execute(
        f"INSERT INTO {table} ({', '.join(map(quote, names))}) VALUES ({', '.join(['%s'] * len(names))}) "  # noqa: S608 (names of ours)
        f"ON CONFLICT ({', '.join(map(quote, key))}) DO UPDATE SET {changed}",
        rows,
    )


def _replaced(table: str, name: str) -> str:
    return f"excluded.{name}"


def _added(table: str, name: str) -> str:
    whole = f"{table}.{name} + excluded.{name}"
    is_residue = f"excluded.{name} < 0 AND ABS({whole}) < {LEAST} - {RESIDUE} * excluded.{name}"
    return f"CASE WHEN {is_residue} THEN 0 ELSE {whole} END"


def delete_empty(model: type[models.Model], key: Sequence[str], amounts: Sequence[str], keys: list[tuple]) -> None:
    """Delete those rows with these keys whose amounts are all zero, or less than LEAST."""
    quote = connection.ops.quote_name
    conditions = [f"{quote(name)} = %s" for name in key] + [f"ABS({quote(name)}) < {LEAST}" for name in amounts]
    _execute(f"DELETE FROM {quote(model._meta.db_table)} WHERE {' AND '.join(conditions)}", keys)  # noqa: S608 (names of ours)


def insert(model: type[models.Model], columns: Sequence[str], rows: list[tuple]) -> None:
    """Insert rows of values in the form that the driver accepts."""
    quote = connection.ops.quote_name
    names, places = ", ".join(map(quote, columns)), ", ".join(["%s"] * len(columns))
    _execute(f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({places})", rows)  # noqa: S608 (names of ours)


def update(rows: list, names: Sequence[str]) -> None:
    """Save some fields of many rows of one table; bulk_update's one long CASE took two thirds of a re-estimation."""
    if not rows:  # all were deleted in the meantime
        return
    meta, quote = type(rows[0])._meta, connection.ops.quote_name
    fields = [meta.get_field(name.removesuffix("_id")) for name in names]
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    prepare: list[Callable] = [_prepared if isinstance(field, models.JSONField) else _as_it_is for field in fields]
    made = list(zip(fields, prepare, strict=True))
    _execute(
        f"UPDATE {quote(meta.db_table)} SET {columns} WHERE {quote(meta.pk.column)} = %s",  # noqa: S608 (names of ours)
        [(*(make(field, getattr(row, field.attname)) for field, make in made), row.pk) for row in rows],
    )


def _prepared(field, value):
    return field.get_db_prep_save(value, connection)


def _as_it_is(field, value):
    """Return the value: numbers and short texts need no conversion, which would take a tenth of a re-estimation."""
    return value


def _execute(sql: str, rows: list[tuple]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)
