"""A summary of what a run logged under one name: enough to compare runs by it without reading their batches."""

import sys

from django.db import models
from django.db.models import OuterRef, Subquery

from runs.models.direction import MetricDirection, lower_by_name
from runs.models.project import Project
from runs.models.run import Run
from runs.sql.within_project import OfProject, WithinProject

#: Metrics that the agent sends as amounts of useful work since the last report; all others are values to follow.
WORK = ("samples", "tokens", "prompt_tokens")


class MetricQuerySet(models.QuerySet):
    def directed(self):
        """Metrics for which `lower` and `best` use the projects' choices before the names."""
        chosen = MetricDirection.objects.filter(project=OuterRef("project"), name=OuterRef("name"))
        return self.annotate(chosen=Subquery(chosen.values("lower")[:1]))


class Metric(OfProject):
    """The last, lowest and highest value of a metric, for work the sum; kept when the batches' values are deleted."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = WithinProject(Run, on_delete=models.CASCADE, db_index=False, related_name="metrics")
    name = models.CharField(max_length=200)
    last = models.FloatField()
    last_at = models.DateTimeField(help_text="By the writer's clock.")
    lowest = models.FloatField()
    highest = models.FloatField()
    total = models.FloatField(default=0.0, help_text="The sum, of work alone.")
    count = models.PositiveBigIntegerField(null=True, help_text="How often; null: logged before this was counted.")

    #: The project's choice, if `directed` looked it up.
    chosen: bool | None

    objects = MetricQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="metric_once_per_run")]

    def __str__(self):
        return self.name

    @property
    def is_work(self) -> bool:
        return self.name in WORK

    @property
    def lower(self) -> bool:
        """Whether lower is better; only for rows of `directed`."""
        return lower_by_name(self.name) if self.chosen is None else self.chosen

    @property
    def best(self) -> float:
        return self.lowest if self.lower else self.highest

    @property
    def figures(self) -> dict:
        """What other programs get; for work, the sum is what counts."""
        if self.is_work:
            return {"total": self.total, "count": self.count}
        values = {"last": self.last, "best": self.best, "lowest": self.lowest, "highest": self.highest}
        return values | {"lower_is_better": self.lower, "count": self.count}

    def take(self, at, value: float) -> None:
        """Update with a logged value; values may arrive in any order."""
        if at >= self.last_at:
            self.last, self.last_at = value, at
        self.lowest, self.highest = min(self.lowest, value), max(self.highest, value)
        if self.is_work:
            # Two of the largest floats add up to infinity.
            self.total = max(-sys.float_info.max, min(self.total + value, sys.float_info.max))
        if self.count is not None:
            self.count += 1
