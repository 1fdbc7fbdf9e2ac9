"""`manage.py load_catalogue`: the agent's seed data into the portal, as often as one likes."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from hardware import loading
from runs.jobs import reestimate
from runs.models import EmissionFactor
from traceml_agent import catalogue


class Command(BaseCommand):
    help = "Load the hardware catalogue's seed data. Profiles that an admin edited are left as they are."

    def add_arguments(self, parser):
        parser.add_argument("--directory", type=Path, default=Path(catalogue.DATA), help="the folder of the CSV set")

    def handle(self, *, directory, **options):
        try:
            self.stdout.write(str(loading.load(directory)))
        except loading.BrokenFile as error:
            raise CommandError(f"Nothing was loaded. {error}") from None
        self.stdout.write(f"Emission factors: {EmissionFactor.objects.load()} added.")
        if asked := reestimate.request("New seed data or estimates of this release."):
            self.stdout.write(f"Runs are behind now; `manage.py reestimate` follows up as number {asked.pk}.")
