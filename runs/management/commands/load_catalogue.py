"""`manage.py load_catalogue`: load the agent's seed data into the portal; can be repeated."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from hardware import loading
from runs.jobs import reestimate
from runs.models import EmissionFactor
from traceml_agent import catalogue


class Command(BaseCommand):
    help = "Load the seed data of the hardware catalogue. Profiles edited by an admin are not changed."

    def add_arguments(self, parser):
        parser.add_argument(
            "--directory", type=Path, default=Path(catalogue.DATA), help="the folder with the CSV files"
        )

    def handle(self, *, directory, **options):
        try:
            self.stdout.write(str(loading.load(directory)))
        except loading.BrokenFile as error:
            raise CommandError(f"Nothing was loaded. {error}") from None
        self.stdout.write(f"Emission factors: {EmissionFactor.objects.load()} added.")
        if asked := reestimate.request("New catalogue data or estimation rules in this release."):
            self.stdout.write(f"Some runs are outdated: recalculation {asked.pk} is pending (`manage.py reestimate`).")
