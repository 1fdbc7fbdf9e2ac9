"""Move tables to where `runs.scaling.tables` says, on a Citus coordinator.

A table is moved in a transaction of its own, and what is in its place already is left alone: after an interruption or
a migration, the same again does the rest.
"""

from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection, transaction

from runs.scaling.tables import FILLED_BY_TRIGGERS, TablePlace, table_names

#: By this column rows are spread, and every unique key contains it.
SPREAD_BY = "project_id"


class NotPossible(Exception):
    """This database can't be distributed; the message says why, in a sentence."""


class Step(NamedTuple):
    """A table's move: what happens to it in words, and the statements that do it."""

    words: str
    statements: list[str]


def steps() -> list[Step]:
    """Return what is left to do, in order. Raises NotPossible."""
    _refuse_elsewhere()
    there = dict(_rows("SELECT table_name::text, citus_table_type FROM citus_tables"))
    spread = table_names(TablePlace.DISTRIBUTED)
    # In this order: a foreign key to a reference table binds a local one to Citus, which then can't spread it.
    return [*(step for name in spread for step in _spreading(name, there)), *_references(there), *_one_by_one()]


def _one_by_one() -> Iterator[Step]:
    """Let a statement's parts follow each other: beside each other, nothing after them may change a reference table."""
    mode = "citus.multi_shard_modify_mode"
    if _rows("SELECT reset_val FROM pg_settings WHERE name = %s", [mode]) == [("sequential",)]:
        return
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    yield Step("make changes of many shards one by one", [f"ALTER DATABASE {database} SET {mode} = 'sequential'"])


def run(step: Step) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # pages have 5 s; a table's rows may take an hour
        cursor.execute("SET LOCAL client_min_messages = warning")
        for statement in step.statements:
            cursor.execute(statement)


def _refuse_elsewhere() -> None:
    if connection.vendor != "postgresql" or _rows("SELECT to_regclass('pg_dist_node')") == [(None,)]:
        raise NotPossible("This database is not a Citus coordinator, so that there is nothing to distribute to.")
    nodes = dict(_rows("SELECT groupid <> 0, COUNT(*) FROM pg_dist_node WHERE isactive GROUP BY 1"))
    if not nodes.get(False):
        raise NotPossible("The coordinator doesn't know its own address: run SELECT citus_set_coordinator_host('…').")
    if not nodes.get(True):
        raise NotPossible("This coordinator has no workers: run SELECT citus_add_node('…', 5432) for each.")


def _references(there: dict[str, str]) -> Iterator[Step]:
    """Make reference tables, all at once: their foreign keys to each other are in the way of one after the other."""
    names = table_names(TablePlace.REFERENCE)
    missing = [name for name in names if there.get(name) != "reference"]
    if not missing:
        return
    spread = set(table_names(TablePlace.DISTRIBUTED))
    keys = [key for key in _foreign_keys(names) if not {key.table, key.target} & spread]
    yield Step(
        f"copy to every machine: {', '.join(missing)}",
        [
            *(key.dropped for key in keys),
            *(f"SELECT create_reference_table('{name}')" for name in missing),
            *(key.added for key in keys),
        ],
    )


def _spreading(name: str, there: dict[str, str]) -> Iterator[Step]:
    """Spread a table's rows, without triggers and foreign keys, and with the project in every unique key."""
    keys = [key.dropped for key in _foreign_keys([name])]
    unique = [sql for constraint in _narrow_constraints(name) for sql in constraint]
    moved = []
    if there.get(name) != "distributed":
        others = [other for other, kind in there.items() if kind == "distributed"]
        beside = f", colocate_with => '{others[0]}'" if others else ""
        moved = [
            f"SELECT create_distributed_table('{name}', '{SPREAD_BY}'{beside})",
            f"SELECT truncate_local_data_after_distributing_table('{name}')",
        ]
        there[name] = "distributed"
    if statements := [*keys, *_untriggered(name), *unique, *moved]:
        yield Step(f"{'spread' if moved else 'adjust keys of'} {name}", statements)


def _untriggered(name: str) -> list[str]:
    """Return the statements that drop a table's triggers and empty what they filled, which would soon be wrong."""
    found = _rows("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [name])
    dropped = [f'DROP TRIGGER "{trigger}" ON "{name}"' for (trigger,) in found]
    return [*dropped, f"TRUNCATE {', '.join(FILLED_BY_TRIGGERS)}"] if dropped else []


class ForeignKey(NamedTuple):
    table: str
    target: str
    name: str
    definition: str

    @property
    def dropped(self) -> str:
        return f'ALTER TABLE "{self.table}" DROP CONSTRAINT IF EXISTS "{self.name}"'

    @property
    def added(self) -> str:
        return f'ALTER TABLE "{self.table}" ADD CONSTRAINT "{self.name}" {self.definition}'


def _foreign_keys(names: list[str]) -> list[ForeignKey]:
    """Return the foreign keys from or to these tables."""
    sql = """
        SELECT conrelid::regclass::text, confrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint
        WHERE contype = 'f' AND (conrelid::regclass::text = ANY(%s) OR confrelid::regclass::text = ANY(%s))
        ORDER BY 1, 3
    """
    return [ForeignKey(*row) for row in _rows(sql, [names, names])]


def _narrow_constraints(name: str) -> list[tuple[str, str]]:
    """Return the statements that add the project to those unique keys of a table that lack it, under their names.

    Last, so that an id still finds its row by the primary key's index.
    """
    sql = """
        SELECT conname, contype, array_agg(attname::text ORDER BY place)
        FROM pg_constraint
        CROSS JOIN unnest(conkey) WITH ORDINALITY AS part(number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = part.number
        WHERE contype IN ('p', 'u') AND conrelid = %s::regclass
        GROUP BY conname, contype ORDER BY conname
    """
    return [
        (
            f'ALTER TABLE "{name}" DROP CONSTRAINT "{constraint}"',
            f'ALTER TABLE "{name}" ADD CONSTRAINT "{constraint}" {"PRIMARY KEY" if kind == "p" else "UNIQUE"}'
            f" ({', '.join([*columns, SPREAD_BY])})",
        )
        for constraint, kind, columns in _rows(sql, [name])
        if SPREAD_BY not in columns
    ]


def _rows(sql: str, params: list | None = None) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()
