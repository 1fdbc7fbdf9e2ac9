"""`manage.py backup FILE`: write the whole database to one file while the portal runs."""

from pathlib import Path

from django.core.management.base import BaseCommand
from django.db import connection

from runs.backup import archive, totals


class Command(BaseCommand):
    help = "Write the whole database to a new file. Uploads continue meanwhile. See docs/deploy.md."
    requires_system_checks: list = []

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)

    def handle(self, *, file, **options):
        about = archive.write(connection, file)
        self.stdout.write(
            f"{file}: {totals.summary(about['totals'])}. SECRET_KEY is not included. Keep it elsewhere:"
            " without it, API tokens and second factors stop working."
        )
