"""`manage.py move_database postgres://…`: move from SQLite to PostgreSQL and compare the totals."""

import dj_database_url
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from runs.backup import move, place, totals


class Command(BaseCommand):
    help = "Copy the current SQLite database to an empty PostgreSQL database. See docs/deploy.md."

    def add_arguments(self, parser):
        parser.add_argument(
            "url", help="postgres://user@host/name; the password can also come from PGPASSWORD or ~/.pgpass"
        )

    def handle(self, *, url, **options):
        try:
            config = dict(dj_database_url.parse(url))
        except (dj_database_url.ParseError, ValueError):
            config = {"ENGINE": ""}
        if connection.vendor != "sqlite" or not str(config["ENGINE"]).endswith("postgresql"):
            raise CommandError("This command moves from SQLite (DATABASE_URL) to PostgreSQL (the argument).")
        place.refuse_pending(connection)
        with move.opened(config) as target:
            try:
                place.refuse_unless_empty(target)
            except OperationalError as error:
                raise CommandError(f"Can't connect to PostgreSQL: {str(error).splitlines()[0]}") from None
            move.make_tables(url)
            held = move.move(connection, target)
        self.stdout.write(f"Moved: {totals.summary(held)}. All totals match. Now set DATABASE_URL to the new database.")
