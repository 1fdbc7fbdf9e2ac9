"""The end of a run's record: it goes, and takes back what it added to the daily totals."""

from django.db import transaction

from runs.ingest import totals
from runs.models import DailyUsage, Run


def remove_run(run: Run) -> None:
    """Delete a run with all that belongs to it."""
    with transaction.atomic():
        locked = Run.objects.select_for_update().get(pk=run.pk)
        DailyUsage.objects.add(totals.usage_changes(locked, {}))
        locked.delete()
