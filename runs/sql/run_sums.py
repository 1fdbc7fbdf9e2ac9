"""The triggers that keep RunSums, for whoever writes runs; and the merging of its new rows.

An unfinished run is not in it, so an upload changes nothing here: readers add the few unfinished runs themselves.
"""

from collections.abc import Callable, Iterator

from django.db import connection, transaction

from runs.sql.within_project import is_distributed

KEY = ("project_id", "tracked_model_id", "kind", "is_archived", "facet", "value")
SUMS = ("runs", "duration_s", "energy_kwh", "emissions_kg", "shared_kwh", "shared_kg", "squared_kwh", "squared_kg")
#: What changes a run's part of the sums.
WATCHED: tuple[str, ...] = (
    "project_id",
    "tracked_model_id",
    "kind",
    "archived_at",
    "member_id",
    "status",
    "exception",
    "tags",
    "params",
)
WATCHED += ("hardware", "duration_s", "energy_kwh", "emissions_kg", "shared_kwh", "shared_kg")
#: PostgreSQL can't index long texts, so it finds a value by its digest.
DIGEST = {"sqlite": "value", "postgresql": "md5(value)"}
LOCK = 4_101
#: Rows that are merged at once.
MOST_MERGED = 20_000

#: A parameter's value in JSON, the same for numbers that are equal.
_VALUE = {
    "sqlite": (
        "CASE type WHEN 'real' THEN CASE WHEN value = CAST(value AS INTEGER) AND abs(value) < 1e15 "
        "THEN CAST(value AS INTEGER) || '' ELSE printf('%!.17g', value) END "
        "WHEN 'text' THEN json_quote(value) WHEN 'integer' THEN value || '' "
        "WHEN 'array' THEN value WHEN 'object' THEN value ELSE type END"
    ),
    "postgresql": (
        "CASE jsonb_typeof(value) WHEN 'number' THEN trim_scale((value #>> '{}')::numeric)::text ELSE value::text END"
    ),
}
_ITEMS = {"sqlite": "json_each({row}.params)", "postgresql": "jsonb_each({row}.params)"}


def _facets(vendor: str, row: str) -> str:
    text = "{row}.{column}" if vendor == "sqlite" else "{row}.{column}::text"
    tags, hardware, member = (text.format(row=row, column=name) for name in ("tags", "hardware", "member_id"))
    return (
        f"SELECT '' AS facet, '' AS value UNION ALL SELECT 'member', CAST({member} AS TEXT) "  # noqa: S608
        f"UNION ALL SELECT 'end', {row}.status || ':' || {row}.exception "
        f"UNION ALL SELECT 'tags', {tags} UNION ALL SELECT 'hardware', {hardware} "
        f"UNION ALL SELECT 'param:' || key, {_VALUE[vendor]} FROM {_ITEMS[vendor].format(row=row)}"
    )


def _rows(vendor: str, row: str, sign: str, source: str = "") -> str:
    """Return the SQL of a run's rows; with a `source`, of all its runs'."""
    amounts = ["1", *(f"{row}.{name}" for name in SUMS[1:6]), *(f"{row}.{n} * {row}.{n}" for n in SUMS[2:4])]
    summed = ", ".join(f"{sign}({amount})" for amount in amounts)
    archived = f"{row}.archived_at IS NOT NULL"
    return (
        f"SELECT {row}.project_id, {row}.tracked_model_id, {row}.kind, {archived}, facet, value, {summed}, "  # noqa: S608
        f"{'true' if vendor == 'postgresql' else 'false'} FROM {source}({_facets(vendor, row)}) AS facets"
    )


def _insert(vendor: str, rows: str) -> str:
    into = f"INSERT INTO runs_runsums ({', '.join((*KEY, *SUMS))}, is_new) {rows}"
    return into if vendor == "postgresql" else f"{into} WHERE true {_MERGING['sqlite']}"


def _merging(vendor: str) -> str:
    key = ", ".join((*KEY[:-1], DIGEST[vendor]))
    added = ", ".join(f"{name} = runs_runsums.{name} + excluded.{name}" for name in SUMS)
    return f"ON CONFLICT ({key}) WHERE NOT is_new DO UPDATE SET {added}"


_MERGING = {vendor: _merging(vendor) for vendor in DIGEST}


def create(schema_editor) -> None:
    """Create the triggers, and fill the table from all runs."""
    vendor = schema_editor.connection.vendor
    key = ", ".join((*KEY[:-1], DIGEST[vendor]))
    schema_editor.execute(f"CREATE UNIQUE INDEX run_sums_once ON runs_runsums ({key}) WHERE NOT is_new")
    if vendor == "postgresql":
        add, take = (_insert(vendor, _rows(vendor, row, sign)) for row, sign in (("new", "+"), ("old", "-")))
        schema_editor.execute(
            "CREATE FUNCTION runs_keep_sums() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP <> 'INSERT' AND old.status <> 'running' THEN {take}; END IF; "
            f"IF TG_OP <> 'DELETE' AND new.status <> 'running' THEN {add}; END IF; "
            "RETURN NULL; END $$",
            params=None,
        )
    fill(schema_editor.execute, vendor)
    keep(schema_editor.execute, vendor)


def fill(execute, vendor: str) -> None:
    """Add up all ended runs."""
    across = "runs_run AS run CROSS JOIN " + ("LATERAL " if vendor == "postgresql" else "")
    rows = _rows(vendor, "run", "+", across)
    summed = ", ".join(f"SUM({name})" for name in SUMS)
    names = ", ".join((*KEY, *SUMS))
    if vendor == "sqlite":
        # A table in FROM can't refer to the one before it, except as an argument of json_each.
        for facet, value, source in _SQLITE_FACETS:
            amounts = ["1", *SUMS[1:6], *(f"{name} * {name}" for name in SUMS[2:4])]
            execute(
                f"INSERT INTO runs_runsums ({names}, is_new) SELECT run.project_id, tracked_model_id, kind, "  # noqa: S608
                f"archived_at IS NOT NULL, {facet}, {value}, {', '.join(f'SUM({each})' for each in amounts)}, false "
                f"FROM {source} WHERE status <> 'running' GROUP BY 1, 2, 3, 4, 5, 6"
            )
        return
    execute(
        f"INSERT INTO runs_runsums ({names}, is_new) SELECT {', '.join(KEY)}, {summed}, false FROM ("  # noqa: S608
        f"{rows} WHERE run.status <> 'running') AS rows ({names}, is_new) GROUP BY {', '.join(KEY)}"
    )


_SQLITE_FACETS = (
    ("''", "''", "runs_run AS run"),
    ("'member'", "CAST(member_id AS TEXT)", "runs_run AS run"),
    ("'end'", "status || ':' || exception", "runs_run AS run"),
    ("'tags'", "tags", "runs_run AS run"),
    ("'hardware'", "hardware", "runs_run AS run"),
    ("'param:' || item.key", _VALUE["sqlite"], "runs_run AS run, json_each(run.params) AS item"),
)


def keep(execute: Callable, vendor: str) -> None:
    """Create the triggers that are missing."""
    for sql in _sqlite_triggers() if vendor == "sqlite" else _POSTGRESQL_TRIGGERS:
        execute(sql)


def _sqlite_triggers() -> Iterator[str]:
    add, take = (_insert("sqlite", _rows("sqlite", row, sign)) for row, sign in (("new", "+"), ("old", "-")))
    changed = " OR ".join(f"old.{name} IS NOT new.{name}" for name in WATCHED)
    made = "CREATE TRIGGER IF NOT EXISTS"
    yield f"{made} run_added AFTER INSERT ON runs_run WHEN new.status <> 'running' BEGIN {add}; END"
    yield f"{made} run_removed AFTER DELETE ON runs_run WHEN old.status <> 'running' BEGIN {take}; END"
    of = f"AFTER UPDATE OF {', '.join(WATCHED)} ON runs_run"
    yield f"{made} run_taken_back {of} WHEN old.status <> 'running' AND ({changed}) BEGIN {take}; END"
    yield f"{made} run_added_again {of} WHEN new.status <> 'running' AND ({changed}) BEGIN {add}; END"


_POSTGRESQL_TRIGGERS = (
    "CREATE OR REPLACE TRIGGER run_added AFTER INSERT OR DELETE ON runs_run "
    "FOR EACH ROW EXECUTE FUNCTION runs_keep_sums()",
    "CREATE OR REPLACE TRIGGER run_added_again AFTER UPDATE ON runs_run FOR EACH ROW "
    "WHEN ((old.status <> 'running' OR new.status <> 'running') AND "
    f"({', '.join(f'old.{name}' for name in WATCHED)}) IS DISTINCT FROM "
    f"({', '.join(f'new.{name}' for name in WATCHED)})) EXECUTE FUNCTION runs_keep_sums()",
)


def drop(schema_editor) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for name in ("run_added", "run_removed", "run_taken_back", "run_added_again"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")
    else:
        schema_editor.execute("DROP FUNCTION runs_keep_sums CASCADE")
    schema_editor.execute("DROP INDEX run_sums_once")


def are_kept() -> bool:
    """Whether there are sums: not on Citus, which allows no triggers on tables that it spreads."""
    return not is_distributed()


def compact(most: int = MOST_MERGED) -> int:
    """Merge the oldest new rows into those with the same key, and delete what became empty; returns how many were new.

    Does nothing if another process is at it. SQLite, which has one writer at a time, merges at once.
    """
    if connection.vendor == "sqlite":
        return 0
    names, summed = ", ".join((*KEY, *SUMS)), ", ".join(f"SUM({name})" for name in SUMS)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            "WITH picked AS (DELETE FROM runs_runsums WHERE id IN "  # noqa: S608
            "(SELECT id FROM runs_runsums WHERE is_new ORDER BY id LIMIT %s) RETURNING *), "
            f"merged AS (INSERT INTO runs_runsums ({names}, is_new) SELECT {', '.join(KEY)}, {summed}, false "
            f"FROM picked GROUP BY {', '.join(KEY)} {_MERGING['postgresql']}) SELECT COUNT(*) FROM picked",
            [most],
        )
        return cursor.fetchone()[0]


def delete_empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM runs_runsums WHERE runs = 0 AND NOT is_new")


def rebuild() -> None:
    """Add up all ended runs anew; uploads that end a run wait meanwhile."""
    if not are_kept():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("LOCK TABLE runs_run IN SHARE MODE")
        cursor.execute("DELETE FROM runs_runsums")
        fill(cursor.execute, connection.vendor)
