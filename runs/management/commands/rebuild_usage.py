"""`manage.py rebuild_usage`: recalculate the daily totals from the devices' counters."""

from django.core.management.base import BaseCommand, CommandError

from runs.figures import units
from runs.jobs import rebuild


class Command(BaseCommand):
    help = (
        "Rebuild the daily totals and the totals of every run from the devices' counters with the current catalogue. "
        "Uploads continue meanwhile."
    )

    def handle(self, **options):
        try:
            count = rebuild.rebuild()
        except rebuild.AlreadyAtWork:
            minutes = rebuild.ALONE_FOR_S // 60
            raise CommandError(
                f"Another rebuild is running. If it was killed, try again in {minutes} minutes."
            ) from None
        self.stdout.write(f"Daily totals rebuilt from {units.counted(count, 'run')}.")
