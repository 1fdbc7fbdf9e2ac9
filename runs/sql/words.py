"""The words by which runs are found: an index of names by parts and of tags, parameters and hardware by the whole.

On SQLite these are two FTS5 tables, on PostgreSQL a narrow table with GIN indexes. Triggers on the table of runs keep
them, so that every write is covered, whoever makes it. Words of archived runs have a scope of their own.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence

from django.db import DatabaseError, connection, transaction
from django.db.models.expressions import RawSQL

from runs.sql.within_project import is_distributed

logger = logging.getLogger(__name__)

#: Shorter texts have no trigram.
LEAST_PART = 3
#: Characters of a key or value that are indexed; a find is checked against the run itself.
LONGEST_WORD = 100
#: What stands for a list or an object as a parameter's value.
NESTED = "[]"
#: The columns whose items are indexed.
ITEMS = ("tags", "params", "hardware")


def _scope(row: str) -> str:
    return f"{row}.project_id || CASE WHEN {row}.archived_at IS NULL THEN '' ELSE 'a' END"


def _word(sql: str) -> str:
    return f"substr({sql}, 1, {LONGEST_WORD})"


def _sqlite_items(row: str) -> str:
    number = "printf('%.15g', value)"
    value = f"CASE WHEN type IN ('integer', 'real') THEN {number} WHEN type = 'text' THEN upper({_word('value')})"
    value += f" WHEN type IN ('array', 'object') THEN '{NESTED}' ELSE upper(type) END"
    listed = "SELECT hex('{kind}' || {scope} || ':' || {word}) AS word FROM json_each({row}.{column})"
    parts = [
        listed.format(kind="t", scope=_scope(row), word=_word("value"), row=row, column="tags"),
        listed.format(kind="h", scope=_scope(row), word=_word("value"), row=row, column="hardware"),
        listed.format(kind="p", scope=_scope(row), word=f"{_word('key')} || '=' || {value}", row=row, column="params"),
    ]
    return f"(SELECT coalesce(group_concat(word, ' '), '') FROM ({' UNION ALL '.join(parts)}))"  # noqa: S608


_SQLITE_TABLES = """
CREATE VIRTUAL TABLE runs_names USING fts5(scope, name, content='', columnsize=0, tokenize='trigram');
CREATE VIRTUAL TABLE runs_items USING fts5(items, content='', columnsize=0, detail='none', tokenize='ascii');
"""


def _sqlite_triggers() -> Iterable[str]:
    name = "'<' || {0} || '>', {1}.name"
    named = {row: name.format(_scope(row), row) for row in ("old", "new")}
    add_name = f"INSERT INTO runs_names(rowid, scope, name) VALUES (new.id, {named['new']});"  # noqa: S608
    drop_name = f"INSERT INTO runs_names(runs_names, rowid, scope, name) VALUES ('delete', old.id, {named['old']});"  # noqa: S608
    add_items = f"INSERT INTO runs_items(rowid, items) VALUES (new.id, {_sqlite_items('new')});"  # noqa: S608
    drop_items = f"INSERT INTO runs_items(runs_items, rowid, items) VALUES ('delete', old.id, {_sqlite_items('old')});"  # noqa: S608
    of_name, of_items = ("project_id", "archived_at", "name"), ("project_id", "archived_at", *ITEMS)
    yield f"CREATE TRIGGER IF NOT EXISTS run_found AFTER INSERT ON runs_run BEGIN {add_name} {add_items} END"
    yield f"CREATE TRIGGER IF NOT EXISTS run_gone AFTER DELETE ON runs_run BEGIN {drop_name} {drop_items} END"
    for trigger, columns, steps in (
        ("run_renamed", of_name, f"{drop_name} {add_name}"),
        ("run_described", of_items, f"{drop_items} {add_items}"),
    ):
        changed = " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)
        on = f"AFTER UPDATE OF {', '.join(columns)} ON runs_run WHEN {changed}"
        yield f"CREATE TRIGGER IF NOT EXISTS {trigger} {on} BEGIN {steps} END"


_POSTGRESQL_TABLE = f"""
CREATE TABLE runs_runwords (
    run_id bigint PRIMARY KEY, project_id bigint NOT NULL, archived boolean NOT NULL,
    name text NOT NULL, items text[] NOT NULL
);
CREATE FUNCTION runs_number_or_text(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE jsonb_typeof(value)
        WHEN 'number' THEN trim_scale((value #>> '{{}}')::numeric)::text
        WHEN 'string' THEN upper({_word("value #>> '{}'")})
        WHEN 'array' THEN '{NESTED}' WHEN 'object' THEN '{NESTED}' ELSE upper(value::text) END
$$;
CREATE FUNCTION runs_words_of(scope text, tags jsonb, hardware jsonb, params jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(word), '{{}}') FROM (
        SELECT 't' || scope || ':' || {_word("tag")} AS word FROM jsonb_array_elements_text(tags) AS tag
        UNION ALL SELECT 'h' || scope || ':' || {_word("slug")} FROM jsonb_array_elements_text(hardware) AS slug
        UNION ALL SELECT 'p' || scope || ':' || {_word("key")} || '=' || {_word("runs_number_or_text(value)")}
        FROM jsonb_each(params)
    ) AS words
$$;
CREATE FUNCTION runs_keep_words() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM runs_runwords WHERE run_id = old.id;
        RETURN NULL;
    END IF;
    INSERT INTO runs_runwords VALUES (
        new.id, new.project_id, new.archived_at IS NOT NULL, upper(new.name),
        runs_words_of({_scope("new")}, new.tags, new.hardware, new.params)
    ) ON CONFLICT (run_id) DO UPDATE SET
        project_id = excluded.project_id, archived = excluded.archived, name = excluded.name, items = excluded.items;
    RETURN NULL;
END $$;
"""  # noqa: S608 (names of ours)
_WATCHED = ("project_id", "archived_at", "name", *ITEMS)
_POSTGRESQL_TRIGGERS = (
    "CREATE OR REPLACE TRIGGER run_found AFTER INSERT OR DELETE ON runs_run "
    "FOR EACH ROW EXECUTE FUNCTION runs_keep_words()",
    f"CREATE OR REPLACE TRIGGER run_described AFTER UPDATE ON runs_run FOR EACH ROW "
    f"WHEN (({', '.join(f'old.{name}' for name in _WATCHED)}) IS DISTINCT FROM "
    f"({', '.join(f'new.{name}' for name in _WATCHED)})) EXECUTE FUNCTION runs_keep_words()",
)
# Without a list of pending entries, which each search would read: runs get words once, not at each upload.
_POSTGRESQL_INDEXES = (
    "CREATE INDEX runs_words_items ON runs_runwords USING gin (items) WITH (fastupdate = off)",
    "CREATE INDEX runs_words_project ON runs_runwords (project_id, archived)",
)
_NAMES_BY_PARTS = (
    "CREATE INDEX IF NOT EXISTS runs_words_name ON runs_runwords USING gin (name gin_trgm_ops) WITH (fastupdate = off)"
)


def create(schema_editor) -> None:
    """Create the index and fill it with the words of all runs. Without pg_trgm, names are read one by one."""
    if schema_editor.connection.vendor == "sqlite":
        for sql in _SQLITE_TABLES.strip().splitlines():
            schema_editor.execute(sql)
        name, items = f"'<' || {_scope('run')} || '>', run.name", _sqlite_items("run")
        schema_editor.execute(f"INSERT INTO runs_names(rowid, scope, name) SELECT id, {name} FROM runs_run AS run")  # noqa: S608
        schema_editor.execute(f"INSERT INTO runs_items(rowid, items) SELECT id, {items} FROM runs_run AS run")  # noqa: S608
    else:
        schema_editor.execute(_POSTGRESQL_TABLE, params=None)
        schema_editor.execute(
            "INSERT INTO runs_runwords SELECT id, project_id, archived_at IS NOT NULL, upper(name), "  # noqa: S608
            f"runs_words_of({_scope('run')}, tags, hardware, params) FROM runs_run AS run"
        )
        for sql in _POSTGRESQL_INDEXES:
            schema_editor.execute(sql)
        _index_names(schema_editor)
    keep(schema_editor.execute, schema_editor.connection.vendor)


def keep(execute: Callable, vendor: str) -> None:
    """Create the triggers that are missing."""
    for sql in _sqlite_triggers() if vendor == "sqlite" else _POSTGRESQL_TRIGGERS:
        execute(sql)


def drop(schema_editor) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for name in ("run_found", "run_gone", "run_renamed", "run_described"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")
        schema_editor.execute("DROP TABLE runs_names")
        schema_editor.execute("DROP TABLE runs_items")
    else:
        schema_editor.execute("DROP FUNCTION runs_keep_words CASCADE")
        schema_editor.execute("DROP TABLE runs_runwords")
        schema_editor.execute("DROP FUNCTION runs_words_of, runs_number_or_text")


def _index_names(schema_editor) -> None:
    """Index parts of names, if the database's owner may install pg_trgm, which comes with PostgreSQL."""
    try:
        with transaction.atomic(schema_editor.connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            schema_editor.execute(_NAMES_BY_PARTS)
    except DatabaseError:
        logger.warning("PostgreSQL refused the extension pg_trgm: searches for names will be slow (docs/deploy.md).")


def are_kept() -> bool:
    """Whether there are words: not on Citus, which allows no triggers on tables that it spreads."""
    return not is_distributed()


def scopes(projects: Iterable[int], archived: str) -> list[str]:
    """Return the scopes of the words of these projects' runs: `archived` is as in RunFilters."""
    ends = {"": ("",), "only": ("a",)}.get(archived, ("", "a"))
    return [f"{pk}{end}" for pk in projects for end in ends]


def named(text: str, within: Sequence[str]) -> RawSQL | None:
    """Return the ids of the runs in these scopes with the text in their name; None if it is too short for an index."""
    if len(text) < LEAST_PART:
        return None
    if connection.vendor == "sqlite":
        places = " OR ".join(_quoted(f"<{scope}>") for scope in within)
        asked = f"scope : ({places}) AND name : {_quoted(text)}"
        return RawSQL("SELECT rowid FROM runs_names WHERE runs_names MATCH %s", [asked])
    pattern = "%" + connection.ops.prep_for_like_query(text) + "%"
    sql = "SELECT run_id FROM runs_runwords WHERE name LIKE upper(%s) AND (project_id, archived) IN ({})"
    places = ", ".join(["(%s, %s)"] * len(within))
    return RawSQL(sql.format(places), [pattern, *_columns(within)])  # noqa: S611 (SQL of ours)


def _columns(within: Sequence[str]) -> list:
    return [value for scope in within for value in (int(scope.removesuffix("a")), scope.endswith("a"))]


def _quoted(text: str) -> str:
    """Return a phrase of FTS5, in which nothing but the quote has a meaning."""
    return '"' + text.replace('"', '""') + '"'


def tagged(tag: str, within: Sequence[str]) -> RawSQL:
    return _holding([f"t{scope}:{tag[:LONGEST_WORD]}" for scope in within])


def on_hardware(slug: str, within: Sequence[str]) -> RawSQL:
    return _holding([f"h{scope}:{slug[:LONGEST_WORD]}" for scope in within])


def with_param(key: str, values: Iterable, within: Sequence[str]) -> RawSQL:
    """Return the ids of the runs whose parameter may have one of these values, or a text that spells it."""
    words = sorted(_value_words(values))
    return _holding([f"p{scope}:{key[:LONGEST_WORD]}={word}" for scope in within for word in words])


def _value_words(values: Iterable) -> set[str]:
    """Return values as the triggers write them, which takes one query for all."""
    known: set[str] = set()
    asked: list[tuple[str, str]] = []
    for value in values:
        if isinstance(value, (list, dict)):
            known.add(NESTED)
        elif value is None or isinstance(value, bool):
            known.add(json.dumps(value).upper())
        elif connection.vendor == "postgresql":
            part = value[:LONGEST_WORD] if isinstance(value, str) else value
            asked.append((_word("runs_number_or_text(%s::jsonb)"), json.dumps(part)))
        elif isinstance(value, str):
            asked.append(("upper(%s)", value[:LONGEST_WORD]))
        else:
            asked.append(("printf('%%.15g', json_extract(%s, '$'))", json.dumps(value)))
    if not asked:
        return known
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(sql for sql, _ in asked)}", [value for _, value in asked])
        return known | {*cursor.fetchone()}


def _holding(words: list[str]) -> RawSQL:
    """Return the ids of the runs that have one of these words."""
    if connection.vendor == "sqlite":
        asked = " OR ".join(f'"{word.encode().hex()}"' for word in words)
        return RawSQL("SELECT rowid FROM runs_items WHERE runs_items MATCH %s", [asked])
    return RawSQL("SELECT run_id FROM runs_runwords WHERE items && %s::text[]", [words])
