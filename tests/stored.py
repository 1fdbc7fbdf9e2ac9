"""Where in the database a text is stored."""

from django.db import connection

#: SQLite's full-text tables can't be read; what they hold is in tables of their own beside them.
UNREADABLE = ("runs_names", "runs_items")


def tables_with(text: str) -> list[str]:
    """Return the tables that have the text in a column."""
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            if table in UNREADABLE and connection.vendor == "sqlite":
                continue
            cursor.execute(f'SELECT * FROM "{table}"')
            rows = cursor.fetchall()
            if text in str(rows):
                found.append(table)
        return found
