"""Runs, and the writers that report them."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

from runs.models.factor import EmissionFactor
from runs.models.project import Project
from runs.models.tracked_model import TrackedModel

#: A run that was never finished counts as lost when silent for longer than this many upload intervals.
LOST_AFTER_INTERVALS = 3


class RunQuerySet(models.QuerySet):
    def for_user(self, user):
        """The runs of the projects that this person may see."""
        return self.filter(project__team__membership__user=user)

    def with_names(self):
        """Ready for a list: model, project and team by one query."""
        return self.select_related("tracked_model", "project__team").defer("params", "environment", "usage")


class Run(models.Model):
    """One tracked execution, with the totals that follow from its devices' last counters."""

    class Kind(models.TextChoices):
        TRAINING = "training"
        FINETUNING = "finetuning"
        EVALUATION = "evaluation"
        INFERENCE = "inference"
        OTHER = "other"

    class Status(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    LOST = "lost"

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run_id = models.UUIDField()
    tracked_model = models.ForeignKey(TrackedModel, on_delete=models.CASCADE)
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.TRAINING)
    name = models.CharField(max_length=200, blank=True)
    tags = models.JSONField(default=list, blank=True)
    params = models.JSONField(default=dict, blank=True)
    environment = models.JSONField(default=dict, blank=True)
    agent_version = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    exception = models.CharField(max_length=200, blank=True)

    started_at = models.DateTimeField(help_text="By the agent's clock.")
    ended_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(auto_now_add=True, help_text="By the server's clock; lists sort by it.")
    last_seen_at = models.DateTimeField(default=timezone.now)
    clock_skew_s = models.FloatField(default=0.0, help_text="Agent's clock minus server's, at the last header.")
    upload_interval_s = models.FloatField(default=30.0)
    dropped_records = models.PositiveIntegerField(default=0)
    series_removed_at = models.DateTimeField(null=True, blank=True, help_text="When the project's retention took them.")

    factor = models.ForeignKey(EmissionFactor, on_delete=models.PROTECT)
    pue = models.FloatField(default=1.0)
    duration_s = models.FloatField(default=0.0)
    energy_kwh = models.FloatField(default=0.0)
    energy_low_kwh = models.FloatField(default=0.0)
    energy_high_kwh = models.FloatField(default=0.0)
    measured_kwh = models.FloatField(default=0.0)
    emissions_kg = models.FloatField(default=0.0)
    usage = models.JSONField(default=list, help_text="What this run added to the daily totals, to be taken back.")

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "run_id"], name="run_id_once_per_project")]
        indexes = [
            models.Index(fields=["project", "-received_at", "-id"], name="run_by_arrival"),
            models.Index(fields=["tracked_model", "-received_at"], name="run_by_model"),
            models.Index(fields=["project", "-energy_kwh"], name="run_by_energy"),
        ]

    def __str__(self):
        return self.name or str(self.run_id)

    @property
    def state(self) -> str:
        """Status as a reader should see it: a run that went silent is lost, until late data revives it."""
        silent_since = timezone.now() - timedelta(seconds=LOST_AFTER_INTERVALS * self.upload_interval_s)
        if self.status == self.Status.RUNNING and self.last_seen_at < silent_since:
            return self.LOST
        return self.status

    @property
    def measured_share(self) -> float:
        """Share of the energy that a counter or sensor measured, 0 to 1."""
        return self.measured_kwh / self.energy_kwh if self.energy_kwh > 0 else 0.0

    @property
    def emissions_low_kg(self) -> float:
        return self._share_of_emissions(self.energy_low_kwh)

    @property
    def emissions_high_kg(self) -> float:
        return self._share_of_emissions(self.energy_high_kwh)

    def _share_of_emissions(self, energy_kwh: float) -> float:
        return self.emissions_kg * energy_kwh / self.energy_kwh if self.energy_kwh > 0 else 0.0


class Writer(models.Model):
    """The life of one agent process: counters are cumulative within it, a run's total is the sum over its writers."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="writers")
    key = models.CharField(max_length=64)
    host = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    last_t_s = models.FloatField(default=0.0, help_text="The latest sample's time since started_at.")
    status = models.CharField(max_length=10, choices=Run.Status.choices, default=Run.Status.RUNNING)
    dropped_records = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="writer_once_per_run")]

    def __str__(self):
        return self.key

    @property
    def heard_until(self):
        """The instant of its latest sample."""
        return self.started_at + timedelta(seconds=self.last_t_s)
