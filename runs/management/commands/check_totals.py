"""`manage.py check_totals`: check that the daily totals match the stored counters."""

import os
from io import StringIO

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from runs.backup import totals
from runs.ingest.folding.fold import fold_waiting
from runs.models import DailyUsage, MonthlyUsage, ProjectUsage, Run, RunSums, TaggedUsage
from runs.models.usage import AMOUNTS
from runs.sql import run_sums

DAILY = (DailyUsage, MonthlyUsage, TaggedUsage, ProjectUsage)
COMPARED = {model._meta.db_table: dict.fromkeys(AMOUNTS, 0.0) for model in DAILY}
OF_RUNS = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "measured_kwh", "emissions_kg", "duration_s")
COMPARED[RunSums._meta.db_table] = dict.fromkeys(("runs", "energy_kwh", "emissions_kg", "duration_s"), 0.0)
COMPARED[Run._meta.db_table] = dict.fromkeys(OF_RUNS, 0.0)


class Command(BaseCommand):
    help = "Rebuild the totals, compare them with the stored ones, and roll back. Uploads wait meanwhile."

    def handle(self, **options):
        with transaction.atomic():
            while fold_waiting():
                pass
            while run_sums.compact():
                pass
            held = totals.of(connection, COMPARED)
            call_command("rebuild_usage", stdout=StringIO())
            found = totals.of(connection, COMPARED)
            transaction.set_rollback(True)
        if different := totals.differences(held, found):
            told = "These totals do not match the counters with the current catalogue (before: stored; now: rebuilt):"
            raise CommandError(os.linesep.join([told, *different]))
        self.stdout.write(f"All totals match the counters: {held['runs_run']['energy_kwh']:,.2f} kWh.")
