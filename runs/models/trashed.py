"""Deleted things that can be restored: they belong to the team's bin, which is a team without members.

Every query by membership, which covers everything that people and tokens see, therefore skips them. Daily totals,
re-estimation and backups treat them like any other project.
"""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from runs.models.project import Project
from runs.models.team import Team

KEPT_FOR = timedelta(days=30)


class TrashedQuerySet(models.QuerySet):
    def overdue(self):
        """Items whose time in the trash is over."""
        return self.filter(trashed_at__lt=timezone.now() - KEPT_FOR)


class Trashed(models.Model):
    """A deleted run, model or project, in a project of its own in the bin."""

    class Kind(models.TextChoices):
        RUN = "run"
        MODEL = "model"
        PROJECT = "project"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, help_text="Whose it was.")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    name = models.CharField(max_length=200)
    address = models.CharField(max_length=80, help_text="Id of a run, slug of a model or project.")
    project = models.OneToOneField(Project, on_delete=models.CASCADE, help_text="What holds it in the bin.")
    from_project = models.ForeignKey(
        Project, null=True, on_delete=models.CASCADE, related_name="thrown_away", help_text="Empty for a project."
    )
    runs = models.PositiveIntegerField(default=1)
    energy_kwh = models.FloatField(default=0.0)
    emissions_kg = models.FloatField(default=0.0)
    trashed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    trashed_at = models.DateTimeField(default=timezone.now)
    remainders = models.JSONField(default=dict, help_text="What floating-point sums lost when it left them.")

    objects = TrashedQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["team", "-trashed_at"], name="trashed_by_team")]
        verbose_name = verbose_name_plural = "trash"

    def __str__(self):
        return f"{self.kind} {self.name}"

    @property
    def until(self):
        return self.trashed_at + KEPT_FOR

    @property
    def told(self) -> str:
        """Describe the item in the audit log, with its energy and emissions."""
        which = f" ({self.address})" if self.kind == self.Kind.RUN and self.address != self.name else ""
        runs = "" if self.kind == self.Kind.RUN else f", {self.runs} run{'' if self.runs == 1 else 's'}"
        return f"{self.name}{which}{runs}: {amounts(self.energy_kwh, self.emissions_kg)}"


def amounts(energy_kwh: float, emissions_kg: float) -> str:
    """Return energy and emissions for the audit log, in full."""
    return f"{energy_kwh:.9g} kWh, {emissions_kg:.9g} kg CO₂e"
