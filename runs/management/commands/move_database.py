"""`manage.py move_database postgres://…`: from SQLite to PostgreSQL, with equal totals."""

import dj_database_url
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from runs.backup import move, place, totals


class Command(BaseCommand):
    help = "Copy the SQLite database that is in use into an empty PostgreSQL one. See docs/deploy.md."

    def add_arguments(self, parser):
        parser.add_argument("url", help="postgres://user@host/name; the password also by PGPASSWORD or ~/.pgpass")

    def handle(self, *, url, **options):
        try:
            config = dict(dj_database_url.parse(url))
        except (dj_database_url.ParseError, ValueError):
            config = {"ENGINE": ""}
        if connection.vendor != "sqlite" or not str(config["ENGINE"]).endswith("postgresql"):
            raise CommandError(
                "It moves from SQLite to PostgreSQL: DATABASE_URL names the former, the argument the latter."
            )
        place.refuse_pending(connection)
        with move.opened(config) as target:
            try:
                place.refuse_unless_empty(target)
            except OperationalError as error:
                raise CommandError(f"PostgreSQL can't be reached: {str(error).splitlines()[0]}") from None
            move.make_tables(url)
            held = move.move(connection, target)
        self.stdout.write(
            f"Moved: {totals.summary(held)}. All totals are equal. Now set DATABASE_URL to the new place."
        )
