"""Recalculations of past runs, and the previous figures of these runs."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from runs.models.factor import EmissionFactor
from runs.models.project import Project
from runs.models.run import Run
from runs.models.tracked_model import TrackedModel
from runs.models.usage import UsageQuerySet
from runs.sql.within_project import OfProject, WithinProject

#: After this long without a sign of life, nobody is working on it any more.
ABANDONED_AFTER = timedelta(seconds=60)


class ReestimationQuerySet(models.QuerySet):
    def pending(self):
        return self.filter(finished_at=None)

    def abandoned(self):
        """Pending ones that nobody has worked on recently."""
        return self.pending().filter(Q(heard_at=None) | Q(heard_at__lt=timezone.now() - ABANDONED_AFTER))

    def claim(self) -> "Reestimation | None":
        """Claim the oldest pending one that nobody works on; None if there is none."""
        for found in self.abandoned().order_by("pk"):
            if self.abandoned().filter(pk=found.pk).update(heard_at=timezone.now()):
                found.refresh_from_db()
                return found
        return None


class Reestimation(models.Model):
    """A recalculation of runs that are outdated after a change of catalogue, emission factor, PUE or estimation."""

    reason = models.CharField(max_length=400)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    takes_factor = models.BooleanField(default=False, help_text="Also apply the current emission factor.")
    takes_pue = models.BooleanField(default=False, help_text="Also apply the current PUE.")
    created_at = models.DateTimeField(auto_now_add=True)
    heard_at = models.DateTimeField(null=True, editable=False, help_text="When somebody last worked on it.")
    finished_at = models.DateTimeField(null=True, editable=False)
    total = models.PositiveIntegerField("runs", default=0, editable=False)
    done = models.PositiveIntegerField(default=0, editable=False)
    energy_before_kwh = models.FloatField(default=0.0, editable=False)
    energy_after_kwh = models.FloatField(default=0.0, editable=False)
    emissions_before_kg = models.FloatField(default=0.0, editable=False)
    emissions_after_kg = models.FloatField(default=0.0, editable=False)

    objects = ReestimationQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = "recalculation"

    def __str__(self):
        return self.reason

    def begin(self, remaining: int) -> None:
        """Record how many runs are left; runs done before an interruption stay counted."""
        self.total = self.done + remaining
        self.heard_at = timezone.now()
        self.save(update_fields=["total", "heard_at"])

    def advance(self, runs: int, **sums: float) -> None:
        """Add runs that are done and the sums of their figures before and after."""
        changes = {name: F(name) + amount for name, amount in sums.items()}
        type(self).objects.filter(pk=self.pk).update(done=F("done") + runs, heard_at=timezone.now(), **changes)

    def finish(self) -> None:
        type(self).objects.filter(pk=self.pk).update(finished_at=timezone.now(), total=F("done"))


class RunRevision(OfProject):
    """The figures of a run before a recalculation, so that published figures stay explainable."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = WithinProject(Run, on_delete=models.CASCADE, related_name="revisions")
    reestimation = models.ForeignKey(Reestimation, on_delete=models.PROTECT)
    replaced_at = models.DateTimeField(default=timezone.now)
    factor = models.ForeignKey(EmissionFactor, on_delete=models.PROTECT)
    pue = models.FloatField(default=1.0)
    energy_kwh = models.FloatField()
    energy_low_kwh = models.FloatField()
    energy_high_kwh = models.FloatField()
    measured_kwh = models.FloatField()
    emissions_kg = models.FloatField()
    idle_kwh = models.FloatField(null=True, help_text="Empty: of before this was kept.")

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return f"{self.run_id} until {self.replaced_at:%Y-%m-%d}"


FIGURES = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "measured_kwh", "emissions_kg", "idle_kwh")

#: Floating-point sums are off by less than this: a smaller change is no change.
LEAST_KG = 1e-12


class Correction(OfProject):
    """By how much a recalculation changed one day of a model's totals, by kind of run and member.

    Annotations of totals, charts and citations add these up, because pages read no runs.
    """

    KEY = ("reestimation_id", "project_id", "tracked_model_id", "kind", "member_id", "day")
    ADDED = ("energy_kwh", "emissions_kg")

    reestimation = models.ForeignKey(Reestimation, on_delete=models.CASCADE)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    tracked_model = WithinProject(TrackedModel, on_delete=models.CASCADE)
    kind = models.CharField(max_length=12, choices=Run.Kind.choices)
    member_id = models.BigIntegerField(default=0, help_text="As in Run.")
    day = models.DateField()
    energy_kwh = models.FloatField(default=0.0, help_text="What it is more now; less is negative.")
    emissions_kg = models.FloatField(default=0.0, help_text="What they are more now; less is negative.")

    objects = UsageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reestimation", "project", "tracked_model", "kind", "member_id", "day"], name="correction_once"
            )
        ]
        indexes = [
            models.Index(fields=["project", "day"], name="correction_by_day"),
            models.Index(fields=["tracked_model", "kind"], name="correction_by_model"),
        ]

    def __str__(self):
        return f"{self.day} {self.tracked_model_id}: {self.emissions_kg:+g} kg"
