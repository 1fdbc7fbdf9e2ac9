"""Questions to JSON columns that Django does not ask on both databases."""

import json

from django.db.models import Lookup


class HasItem(Lookup):
    """`tags__has_item="x"`: the JSON list holds this text. Django's own `contains` is refused on SQLite."""

    lookup_name = "has_item"
    prepare_rhs = False

    def as_sqlite(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"EXISTS (SELECT 1 FROM json_each({column}) AS item WHERE item.value = %s)", [*params, self.rhs]  # noqa: S608

    def as_postgresql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"{column} @> %s::jsonb", [*params, json.dumps([self.rhs])]
