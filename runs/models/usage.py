"""Daily totals: what dashboards read, so that a page costs the same with a thousand or ten million runs."""

from collections.abc import Mapping

from django.db import models
from django.db.models import F

from runs.models.project import Project
from runs.models.run import Run
from runs.models.tracked_model import TrackedModel

AMOUNTS = (
    "runs",
    "duration_s",
    "device_s",
    "energy_kwh",
    "energy_low_kwh",
    "energy_high_kwh",
    "measured_kwh",
    "emissions_kg",
)


class DailyUsageQuerySet(models.QuerySet):
    def for_user(self, user):
        """The usage of the projects that this person may see."""
        return self.filter(project__team__membership__user=user)

    def add(self, amounts_by_key: Mapping[tuple, Mapping[str, float]]) -> None:
        """Add amounts (negative ones take away) to rows keyed (project, model, kind, device kind, hardware, day).

        In one order of keys, so that two uploads that touch the same rows can't wait for each other in a circle.
        """
        for key, amounts in sorted(amounts_by_key.items()):
            row = dict(zip(KEY, key, strict=True))
            changes = {name: F(name) + amount for name, amount in amounts.items()}
            if not self.filter(**row).update(**changes):
                self.bulk_create([self.model(**row)], ignore_conflicts=True)
                self.filter(**row).update(**changes)


#: What footprints add up, in the order in which they group it.
FOOTPRINT = ["project", "tracked_model", "kind", "runs", "emissions_kg", "energy_kwh", "measured_kwh"]
KEY = ("project_id", "tracked_model_id", "kind", "device_kind", "hardware", "day")


class DailyUsage(models.Model):
    """What one model used on one day (UTC), by kind of run and hardware.

    Every amount may be summed over any rows: the row with an empty `hardware` counts the runs that started on the
    day and their seconds, the others the device-seconds, energy and emissions of that hardware.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    tracked_model = models.ForeignKey(TrackedModel, on_delete=models.CASCADE)
    kind = models.CharField(max_length=12, choices=Run.Kind.choices)
    device_kind = models.CharField(max_length=8, blank=True)
    hardware = models.CharField(max_length=200, blank=True, help_text="Slug of the hardware profile.")
    day = models.DateField()
    runs = models.IntegerField(default=0)
    duration_s = models.FloatField(default=0.0)
    device_s = models.FloatField(default=0.0)
    energy_kwh = models.FloatField(default=0.0)
    energy_low_kwh = models.FloatField(default=0.0)
    energy_high_kwh = models.FloatField(default=0.0)
    measured_kwh = models.FloatField(default=0.0)
    emissions_kg = models.FloatField(default=0.0)

    objects = DailyUsageQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=KEY, name="usage_once_per_key")]
        indexes = [
            models.Index(fields=["project", "day"], name="usage_by_day"),
            models.Index(fields=["tracked_model", "day"], name="usage_by_model"),
            models.Index(fields=FOOTPRINT, name="usage_footprint"),
        ]
        verbose_name_plural = "daily usage"

    def __str__(self):
        return f"{self.day} {self.tracked_model_id} {self.hardware or 'runs'}"
