"""Django's PostgreSQL, asked for nothing that it can't store."""

from django.db.backends.postgresql import base

from traceml_site.databases.storable import refuse_odd_values


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.execute_wrappers.append(refuse_odd_values)
