"""Uploads that are stored, but not yet in the totals."""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from runs.models.batch import Batch
from runs.models.project import Project
from runs.models.run import Run
from runs.models.writer import Writer
from runs.sql.within_project import OfProject, WithinProject

#: Totals follow an upload within a second; when they are twice as far behind, pages say so.
FOLLOW_WITHIN = timedelta(seconds=2)


class ArrivalQuerySet(models.QuerySet["Arrival"]):
    def first_times(self):
        """Return when the first of these arrived, as a query of one value."""
        return self.order_by("pk").values("received_at")[:1]


class Arrival(OfProject):
    """The mark that an upload leaves in its own transaction, until `runs.ingest.folding` has added it to the totals.

    `told` is what the upload says beyond the samples and logged values of its batch: the last counters of each device,
    descriptions, stages, calls, an end. It goes with the mark, so nothing is stored twice for longer than that.
    """

    # Without constraints and indexes, which each upload would pay for: the rows are few, and live for a second.
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_constraint=False, db_index=False)
    run = WithinProject(Run, on_delete=models.CASCADE, related_name="arrivals", db_constraint=False)
    writer = WithinProject(Writer, on_delete=models.CASCADE, db_constraint=False, db_index=False)
    batch = WithinProject(Batch, null=True, on_delete=models.CASCADE, db_constraint=False, db_index=False)
    received_at = models.DateTimeField()
    told = models.JSONField()

    objects = ArrivalQuerySet.as_manager()

    def __str__(self):
        return f"{self.run_id} {self.received_at}"

    @staticmethod
    def behind_s(since: datetime | None) -> float:
        """By how many seconds totals are behind if the first arrival is of then; 0 while they follow as they should."""
        behind = timezone.now() - since if since else timedelta(0)
        return behind.total_seconds() if behind > FOLLOW_WITHIN else 0.0
