"""`manage.py rebuild_usage`: make the daily totals anew from the facts."""

from django.core.management.base import BaseCommand
from django.db import transaction

from runs.ingest import totals
from runs.models import DailyUsage, ProjectUsage, Run, TaggedUsage
from runs.templatetags import units


class Command(BaseCommand):
    help = "Rebuild daily totals, and every run's own, from the devices' counters with today's catalogue."

    def handle(self, **options):
        with transaction.atomic():
            DailyUsage.objects.all().delete()
            TaggedUsage.objects.all().delete()
            ProjectUsage.objects.all().delete()
            Run.objects.update(usage=[])
            count = 0
            for run in Run.objects.select_related("factor").order_by("pk").iterator(chunk_size=500):
                totals.recount(run, list(run.devices.select_related("writer")))
                count += 1
        self.stdout.write(f"Daily totals rebuilt from {units.counted(count, 'run')}.")
