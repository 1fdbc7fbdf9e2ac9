"""`manage.py reestimate`: recalculate past runs after changes of the catalogue, the emission factor or the PUE."""

from django.core.management.base import BaseCommand

from runs.figures import units
from runs.jobs import reestimate


class Command(BaseCommand):
    help = (
        "Carry out pending recalculations. If interrupted, run it again to continue. "
        "With --all, recalculate every run that does not match the current catalogue."
    )

    def add_arguments(self, parser):
        parser.add_argument("--all", action="store_true", help="request a recalculation of all outdated runs")
        parser.add_argument("--factor", action="store_true", help="with --all: also apply the current emission factor")
        parser.add_argument("--pue", action="store_true", help="with --all: also apply the current PUE")
        parser.add_argument("--dry-run", action="store_true", help="only show how many runs are outdated")

    def handle(self, **options):
        takes = {"takes_factor": options["factor"], "takes_pue": options["pue"]}
        if options["dry_run"]:
            reached = reestimate.touched(reestimate.behind(**takes))
            self.stdout.write(
                f"Outdated: {units.counted(reached.runs, 'run')} of {units.counted(reached.teams, 'team')}, "
                f"{units.text('energy', reached.energy_kwh)}."
            )
            return
        if options["all"]:
            reestimate.request("Requested on the command line.", **takes)
        with reestimate.few_collections():
            count = reestimate.work_off(self._report)
        self.stdout.write(f"{units.counted(count, 'run')} recalculated.")

    def _report(self, asked):
        self.stderr.write(f"{asked}: {asked.done} of {asked.total}", ending="\r" if self.stderr.isatty() else "\n")
