"""The writers that report a run, and the attempts at it that they make up."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import models

from runs.models.project import Project
from runs.models.run import Run
from runs.sql.within_project import OfProject, WithinProject

#: An end may be noticed this long after the process ended.
NOTICED_WITHIN = timedelta(seconds=5)


class Writer(OfProject):
    """The life of one agent process. Counters are cumulative within it; a run's total is the sum over its writers."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = WithinProject(Run, on_delete=models.CASCADE, db_index=False, related_name="writers")
    key = models.CharField(max_length=64)
    host = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    last_t_s = models.FloatField(default=0.0, help_text="The latest sample's time since started_at.")
    status = models.CharField(max_length=10, choices=Run.Status.choices, default=Run.Status.RUNNING)
    ended_at = models.DateTimeField(null=True)
    exception = models.CharField(max_length=200, blank=True)
    rank = models.PositiveIntegerField(null=True, help_text="Its number in a job of several processes.")
    clock_skew_s = models.FloatField(
        default=0.0, help_text="How far its clock was ahead, where its times had to be corrected."
    )
    dropped_records = models.PositiveIntegerField(default=0)
    left_out = models.JSONField(default=list, help_text="What its agent left out so far: what, reason, count.")
    last_sha256 = models.CharField(
        max_length=64, blank=True, default="", help_text="Of its last header or end: the same again changes nothing."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="writer_once_per_run")]

    def __str__(self):
        return self.key

    @property
    def heard_until(self):
        """The time of its latest sample."""
        return self.started_at + timedelta(seconds=self.last_t_s)

    @property
    def lasted_until(self):
        """The latest time at which it was certainly running: that of its last sample, or shortly before its end."""
        return max(self.heard_until, self.ended_at - NOTICED_WITHIN) if self.ended_at else self.heard_until


def attempts_of(writers: Iterable[Writer]) -> list[list[Writer]]:
    """Group writers into attempts, in chronological order: writers that overlap are one attempt at the run.

    Ranks of one job are one attempt too, whether or not they overlap (one rank may finish before another starts): only
    a rank that already took part starts another attempt.
    """
    attempts: list[list[Writer]] = []
    until: datetime | None = None
    for writer in sorted(writers, key=lambda each: (each.started_at, each.pk or 0)):
        if until is None or (writer.started_at > until and not _is_another_rank(writer, attempts[-1])):
            attempts.append([])
        attempts[-1].append(writer)
        until = max(until or writer.lasted_until, writer.lasted_until)
    return attempts


def _is_another_rank(writer: Writer, attempt: list[Writer]) -> bool:
    return writer.rank is not None and writer.rank not in {each.rank for each in attempt}
