"""`manage.py reestimate`: past runs follow corrections of the catalogue, the emission factor and the PUE."""

from django.core.management.base import BaseCommand

from runs.figures import units
from runs.jobs import reestimate


class Command(BaseCommand):
    help = (
        "Carry out the re-estimations that are pending. Interrupted, it goes on where it stopped when called again. "
        "With --all, every run that the catalogue as it stands has left behind, whoever changed it."
    )

    def add_arguments(self, parser):
        parser.add_argument("--all", action="store_true", help="ask for a pass over all runs that are behind")
        parser.add_argument("--factor", action="store_true", help="with --all: runs take the factor in force, too")
        parser.add_argument("--pue", action="store_true", help="with --all: runs take the PUE in force, too")
        parser.add_argument("--dry-run", action="store_true", help="only say how many runs are behind")

    def handle(self, **options):
        takes = {"takes_factor": options["factor"], "takes_pue": options["pue"]}
        if options["dry_run"]:
            reached = reestimate.touched(reestimate.behind(**takes))
            self.stdout.write(
                f"Behind: {units.counted(reached.runs, 'run')} of {units.counted(reached.teams, 'team')}, "
                f"{units.text('energy', reached.energy_kwh)}."
            )
            return
        if options["all"]:
            reestimate.request("Asked for on the command line.", **takes)
        with reestimate.few_collections():
            count = reestimate.work_off(self._report)
        self.stdout.write(f"{units.counted(count, 'run')} re-estimated.")

    def _report(self, asked):
        self.stderr.write(f"{asked}: {asked.done} of {asked.total}", ending="\r" if self.stderr.isatty() else "\n")
