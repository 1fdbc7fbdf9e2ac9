"""Writes of many rows in one statement of the driver, where the ORM can't do it or took several times as long."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import attrgetter

from django.db import connection, models

from runs.sql.within_project import is_distributed

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


def is_residue(whole: float, added: float) -> bool:
    """Whether adding an amount leaves this only as floating-point error, as the database decides in `upsert`."""
    return added < 0 and abs(whole) < LEAST - RESIDUE * added


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


def new_ids(model: type[models.Model], count: int) -> list[int]:
    """Reserve primary keys, so that rows that refer to each other can be inserted without reading them back.

    On SQLite, the transaction must have written already, or begun as IMMEDIATE, as ours do.
    """
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, count]
            )
            return [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        last = (cursor.fetchone() or (0,))[0]
        return list(range(last + 1, last + 1 + count))


def insert_all(rows: Sequence[models.Model]) -> None:
    """Insert rows of one table with all their fields; bulk_create took three times as long, most of it per field.

    Without a primary key, the database gives one that the rows don't get to know. `auto_now_add` is not followed.
    """
    if not rows:
        return
    fields = [field for field in rows[0]._meta.concrete_fields if not (field.primary_key and rows[0].pk is None)]
    read = attrgetter(*(field.attname for field in fields))
    prepare = [(place, made) for place, field in enumerate(fields) if (made := _preparing(field))]
    values = []
    for row in map(read, rows):
        prepared = list(row)
        for place, made in prepare:
            if prepared[place] is not None:
                prepared[place] = made(prepared[place])
        values.append(tuple(prepared))
    insert(type(rows[0]), [field.column or field.attname for field in fields], values)


def insert_if_new(row: models.Model) -> bool:
    """Insert a row unless a unique constraint forbids it; returns whether it was inserted. The row gets no key."""
    fields = [field for field in row._meta.concrete_fields if not field.primary_key]
    values = [_made(getattr(row, field.attname), _preparing(field)) for field in fields]
    quote = connection.ops.quote_name
    names, places = ", ".join(quote(field.column or field.attname) for field in fields), ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        sql = f"INSERT INTO {quote(row._meta.db_table)} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608 (names of ours)
        cursor.execute(sql, values)
        return cursor.rowcount == 1


def _preparing(field) -> Callable | None:
    """What makes a field's values into those that the driver takes; None if it takes them as they are."""
    if isinstance(field, models.JSONField):
        adapt = partial(connection.ops.adapt_json_value, encoder=field.encoder)
        empty: dict[type, object] = {list: adapt([]), dict: adapt({})}  # most are
        return lambda value: empty[type(value)] if value in ([], {}) else adapt(value)
    if isinstance(field, models.DateTimeField):
        return lru_cache(maxsize=64)(connection.ops.adapt_datetimefield_value)  # a run and its writer share them
    if isinstance(field, models.DateField):
        return connection.ops.adapt_datefield_value
    if isinstance(field, (models.UUIDField, models.BinaryField)):
        return partial(_prepared, field)
    return None


def update(rows: list, names: Sequence[str]) -> None:
    """Save some fields of many rows of one table; bulk_update's one long CASE took two thirds of a re-estimation."""
    if not rows or not names:  # all were deleted in the meantime, or nothing changed
        return
    meta, quote = type(rows[0])._meta, connection.ops.quote_name
    fields = [meta.get_field(name.removesuffix("_id")) for name in names]
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    made = [(field.attname, _preparing(field)) for field in fields]
    # On Citus, an id alone would ask all machines for each row.
    key = [meta.pk.attname, *(["project_id"] if is_distributed() else [])]
    where = " AND ".join(f"{quote(name)} = %s" for name in key)
    _execute(
        f"UPDATE {quote(meta.db_table)} SET {columns} WHERE {where}",  # noqa: S608 (names of ours)
        [
            (*(_made(getattr(row, name), make) for name, make in made), *(getattr(row, name) for name in key))
            for row in rows
        ],
    )


def _prepared(field, value):
    return field.get_db_prep_save(value, connection)


def _made(value, make: Callable | None):
    """Numbers and short texts need no conversion, which would take a tenth of a re-estimation."""
    return value if make is None or value is None else make(value)


def _execute(sql: str, rows: list[tuple]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)
