"""`manage.py backup FILE`: the whole database in one file, taken while the portal works."""

from pathlib import Path

from django.core.management.base import BaseCommand
from django.db import connection

from runs.backup import archive, totals


class Command(BaseCommand):
    help = "Write the whole database into one new file, while uploads go on. See docs/deploy.md."
    requires_system_checks: list = []

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)

    def handle(self, *, file, **options):
        about = archive.write(connection, file)
        self.stdout.write(
            f"{file}: {totals.summary(about['totals'])}. SECRET_KEY is not in it; keep that elsewhere:"
            " without it no API token and no second factor fits."
        )
