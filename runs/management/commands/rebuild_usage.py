"""`manage.py rebuild_usage`: make the daily totals anew from the facts."""

from django.core.management.base import BaseCommand, CommandError

from runs.figures import units
from runs.jobs import rebuild


class Command(BaseCommand):
    help = (
        "Rebuild daily totals, and every run's own, from the devices' counters with today's catalogue. "
        "Uploads may go on meanwhile."
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
