"""Questions to JSON columns that Django does not ask on both databases."""

import json

from django.db.models import FloatField, Func, Lookup


class HasItem(Lookup):
    """`tags__has_item="x"`: the JSON list holds this text. Django's own `contains` is refused on SQLite."""

    lookup_name = "has_item"
    prepare_rhs = False

    def as_sqlite(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        # Most lists are told by their text alone, which is ten times as fast as to parse them: where nothing is
        # escaped, a text in quotes is an item, unless it begins as what stands between two of them.
        plain = "0" if self.rhs.startswith(",") else f"instr({column}, '\\') = 0"
        holds = f"EXISTS (SELECT 1 FROM json_each({column}) AS item WHERE item.value = %s)"  # noqa: S608
        sql = f"(instr({column}, %s) > 0 AND ({plain} OR {holds}))"
        return sql, [*params, json.dumps(self.rhs), *params * plain.count(column), *params, self.rhs]

    def as_postgresql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"{column} @> %s::jsonb", [*params, json.dumps([self.rhs])]


class SecondsBetween(Func):
    """Seconds from one instant to another, as a number that can be compared with a column of seconds."""

    arity = 2
    output_field = FloatField()

    def as_sqlite(self, compiler, connection, **context):
        template = "((julianday(%(expressions)s)) * 86400.0)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") - julianday(", **context)

    def as_postgresql(self, compiler, connection, **context):
        template = "EXTRACT(EPOCH FROM (%(expressions)s))"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" - ", **context)
