"""Lookups in JSON columns that Django does not support on both databases."""

import json
import re

from django.db.models import FloatField, Func, Lookup, TextField

#: Keys that a SQLite path always finds; it compares others with their spelling in the JSON.
PLAIN_KEY = re.compile(r"[A-Za-z0-9_ .:/-]+")


class HasItem(Lookup):
    """`tags__has_item="x"`: the JSON list contains this text. Django's own `contains` is not supported on SQLite."""

    lookup_name = "has_item"
    prepare_rhs = False

    def as_sqlite(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        # Most lists can be checked as text, which is ten times as fast as parsing them: if nothing is escaped, a quoted
        # text is an item, unless it begins like a separator between two items.
        plain = "0" if self.rhs.startswith(",") else f"instr({column}, '\\') = 0"
        holds = f"EXISTS (SELECT 1 FROM json_each({column}) AS item WHERE item.value = %s)"  # noqa: S608
        sql = f"(instr({column}, %s) > 0 AND ({plain} OR {holds}))"
        return sql, [*params, json.dumps(self.rhs), *params * plain.count(column), *params, self.rhs]

    def as_postgresql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"{column} @> %s::jsonb", [*params, json.dumps([self.rhs])]


class SecondsBetween(Func):
    """Seconds between two instants, as a number that can be compared with a column of seconds."""

    arity = 2
    output_field = FloatField()

    def as_sqlite(self, compiler, connection, **context):
        template = "((julianday(%(expressions)s)) * 86400.0)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") - julianday(", **context)

    def as_postgresql(self, compiler, connection, **context):
        template = "EXTRACT(EPOCH FROM (%(expressions)s))"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" - ", **context)


def _sqlite_path(key: str) -> str:
    return f'$."{key}"'


#: A JSON value in comparable form: numbers as numbers, everything else as its JSON text; NULL if it is missing.
_COMPARED = (
    "CASE {type} WHEN 'integer' THEN {value} WHEN 'real' THEN {value} WHEN 'true' THEN 'true' "
    "WHEN 'false' THEN 'false' WHEN 'null' THEN 'null' {texts} END"
)
_OF_A_PATH = _COMPARED.format(
    type="json_type({json}, %s)",
    value="json_extract({json}, %s)",
    texts="WHEN 'text' THEN json_quote(json_extract({json}, %s)) WHEN 'array' THEN json_extract({json}, %s) "
    "WHEN 'object' THEN json_extract({json}, %s)",
)
_OF_A_KEY = _COMPARED.format(type="type", value="value", texts="WHEN 'text' THEN json_quote(value) ELSE json(value)")
_OF_A_KEY = f"(SELECT {_OF_A_KEY} FROM json_each({{json}}) WHERE key = %s)"  # noqa: S608 (text of ours)

_AS_TEXT = "CASE {type} WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE {value} END"


def _sqlite_item(json_sql: str, json_params: list, key: str) -> tuple[str, list]:
    """Return SQL and parameters of the value under a key of a JSON object, as SQLite can compare and group it."""
    if not PLAIN_KEY.fullmatch(key):
        return _OF_A_KEY.format(json=json_sql), [*json_params, key]
    return _OF_A_PATH.format(json=json_sql), [*json_params, _sqlite_path(key)] * _OF_A_PATH.count("{json}")


class Item(Func):
    """The value under a key of a JSON object, whatever characters the key contains: a column to group by.

    `read` turns it back into a value. Django's KeyTransform treats a key of digits as a list index. On SQLite it finds
    no key with quotes, and can't tell true from "true", or a list from the text that spells it.
    """

    output_field = TextField()
    arity = 1

    def __init__(self, json_object, key: str, **extra):
        super().__init__(json_object, **extra)
        self.key = key

    def as_sqlite(self, compiler, connection, **context):
        sql, params = compiler.compile(self.source_expressions[0])
        return _sqlite_item(sql, list(params), self.key)

    def as_postgresql(self, compiler, connection, **context):
        sql, params = compiler.compile(self.source_expressions[0])
        return f"({sql} -> %s::text)", [*params, self.key]

    @staticmethod
    def read(stored):
        """Return the value that a row of either database holds. Raises KeyError if the object lacks the key."""
        if stored is None:
            raise KeyError
        return json.loads(stored) if isinstance(stored, str) else stored


class ItemText(Item):
    """The same as text without quotes, for searching."""

    def as_sqlite(self, compiler, connection, **context):
        sql, params = compiler.compile(self.source_expressions[0])
        if PLAIN_KEY.fullmatch(self.key):
            type_, value = f"json_type({sql}, %s)", f"json_extract({sql}, %s)"
            return _AS_TEXT.format(type=type_, value=value), [*params, _sqlite_path(self.key)] * 2
        text = _AS_TEXT.format(type="type", value="value")
        return f"(SELECT {text} FROM json_each({sql}) WHERE key = %s)", [*params, self.key]  # noqa: S608

    def as_postgresql(self, compiler, connection, **context):
        sql, params = compiler.compile(self.source_expressions[0])
        return f"({sql} ->> %s::text)", [*params, self.key]


class HasItems(Lookup):
    """`params__has_items={"lr": 0.1}`: the JSON object has these values under these keys, with the same types.

    Numbers are equal by value, so 1 equals 1.0; a text never equals the number or list that it spells.
    """

    lookup_name = "has_items"
    prepare_rhs = False

    def as_sqlite(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        conditions, found = [], []
        for key, value in self.rhs.items():
            stored, stored_params = _sqlite_item(column, list(params), key)
            asked, asked_params = _sqlite_item("%s", [json.dumps({"v": value})], "v")
            conditions.append(f"{stored} = {asked}")
            found += [*stored_params, *asked_params]
        return f"({' AND '.join(conditions)})", found

    def as_postgresql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        conditions, found = [], []
        for key, value in self.rhs.items():
            conditions.append(f"{column} -> %s::text = %s::jsonb")
            found += [*params, key, json.dumps(value)]
        return f"({' AND '.join(conditions)})", found
