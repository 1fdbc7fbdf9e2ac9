"""Indexes that differ between the two databases."""

from django.db import models


class SearchIndex(models.Index):
    """All columns that a search or a group reads: SQLite answers from this index, without the wide rows.

    PostgreSQL refuses an index entry larger than a third of its page, which a run's parameters may be. It gets the
    index without JSON, and reads the rows of a project for the rest.
    """

    def create_sql(self, model, schema_editor, using="", **kwargs):
        if schema_editor.connection.vendor == "sqlite":
            return super().create_sql(model, schema_editor, using, **kwargs)
        json = [field.name for field in model._meta.fields if isinstance(field, models.JSONField)]
        fields = [name for name in self.fields if name not in json]
        return models.Index(fields=fields, name=self.name).create_sql(model, schema_editor, using, **kwargs)
