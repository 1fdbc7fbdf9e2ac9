"""`manage.py restore FILE`: restore a backup to an empty database, compare all totals, then migrate."""

from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from runs.backup import archive, place, totals


class Command(BaseCommand):
    help = "Restore a backup to the empty database in DATABASE_URL. See docs/deploy.md."
    requires_system_checks: list = []

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)

    def handle(self, *, file, **options):
        about = archive.read_about(file, connection)
        place.refuse_newer(about["migrations"], connection)
        place.refuse_unless_empty(connection)
        if different := archive.read(file, about, connection):
            raise CommandError("\n".join(["The restored data differs from the backup:", *different]))
        call_command("migrate", verbosity=0)
        self.stdout.write(f"Restored: {totals.summary(about['totals'])}, as of {about['made_at']}. All totals match.")
