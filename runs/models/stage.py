"""Named parts of a run, and calls of a model during inference."""

from django.db import models
from django.db.models import Q

from runs.models.project import Project
from runs.models.run import Run
from runs.models.writer import Writer
from runs.sql.within_project import OfProject, WithinProject


class Stage(OfProject):
    """An epoch, an evaluation, a block of predictions; its energy is calculated from the samples of its interval."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = WithinProject(Run, on_delete=models.CASCADE, related_name="stages")
    writer = WithinProject(Writer, on_delete=models.CASCADE, db_index=False, related_name="stages")
    key = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    parent = models.CharField(max_length=64, blank=True, help_text="The key of the stage that this one lies in.")
    start_s = models.FloatField()
    end_s = models.FloatField(null=True)
    total = models.PositiveIntegerField(null=True, help_text="How many stages its series will have.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["writer", "key"], name="stage_once_per_writer")]
        ordering = ["writer_id", "start_s", "id"]

    def __str__(self):
        return self.name


class Call(OfProject):
    """How often a method of a watched model, or an endpoint of a service, has been called so far: calls, items and busy
    seconds, cumulative. An endpoint contains the model's calls, so the two are never added up."""

    #: The method under which all requests of a run count whose endpoints are not known.
    REQUESTS = "requests"
    #: Those, and endpoints: `POST /predict`.
    OF_A_SERVICE = Q(method__contains=" /") | Q(method=REQUESTS)

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = WithinProject(Run, on_delete=models.CASCADE, related_name="calls")
    writer = WithinProject(Writer, on_delete=models.CASCADE, db_index=False, related_name="calls")
    method = models.CharField(max_length=200)
    calls = models.PositiveBigIntegerField(default=0)
    items = models.PositiveBigIntegerField(default=0)
    busy_s = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["writer", "method"], name="method_once_per_writer")]
        ordering = ["method"]

    def __str__(self):
        return self.method

    @classmethod
    def is_of_a_service(cls, method: str) -> bool:
        """Return whether a method is an endpoint or stands for all; the same rule as OF_A_SERVICE."""
        return " /" in method or method == cls.REQUESTS
