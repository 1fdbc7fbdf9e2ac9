"""Devices of a run: what the agent saw, and what estimation made of it."""

from datetime import date

from django.db import models

from hardware.models import HardwareProfile
from runs.models.project import Project
from runs.models.run import Run, Writer
from traceml_agent import estimation

#: What a run holds for itself alone, so that time in which it is not busy is nobody's use.
ACCELERATORS = (HardwareProfile.Kind.GPU, HardwareProfile.Kind.TPU, HardwareProfile.Kind.NPU)
#: The three cumulative counters, in the order in which `day_ends` keeps them.
COUNTERS = ("elapsed_s", "busy_s", "energy_j")


class DeviceQuerySet(models.QuerySet):
    def for_user(self, user):
        """The devices of the projects that this person may see."""
        return self.filter(project__team__membership__user=user)


class Device(models.Model):
    """One processor or memory as one writer saw it, with its last cumulative counters.

    `day_ends` keeps the counters as they stood at the end of each earlier day, so that energy falls on the day it
    was used, and days can be made again exactly after a profile was corrected.
    """

    Kind = HardwareProfile.Kind

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="devices")
    writer = models.ForeignKey(Writer, on_delete=models.CASCADE, related_name="devices")
    key = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=200)
    uuid = models.CharField(max_length=100, blank=True)
    method = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=500, blank=True)
    measured_by = models.CharField(max_length=8, blank=True, help_text="counter or sensor, as the agent reports.")
    cores = models.FloatField(null=True)
    threads = models.FloatField(null=True)
    host_cores = models.FloatField(null=True)
    host_threads = models.FloatField(null=True)
    memory_gb = models.FloatField(null=True)
    share = models.FloatField(default=1.0)
    power_limit_w = models.FloatField(null=True)

    elapsed_s = models.FloatField(default=0.0)
    busy_s = models.FloatField(default=0.0)
    energy_j = models.FloatField(null=True, help_text="Measured joules so far; empty where nothing was measured.")
    counted_on = models.DateField(null=True)
    day_ends = models.JSONField(default=dict)

    profile = models.ForeignKey(HardwareProfile, null=True, on_delete=models.SET_NULL)
    profile_revision = models.PositiveIntegerField(default=0)
    matched_by = models.CharField(max_length=20, blank=True, help_text="How its name led to the profile.")
    basis = models.CharField(max_length=8, blank=True)
    counted = models.BooleanField(default=True, help_text="False where another writer reports the same device.")
    energy_kwh = models.FloatField(default=0.0)
    energy_low_kwh = models.FloatField(default=0.0)
    energy_high_kwh = models.FloatField(default=0.0)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["writer", "key"], name="device_once_per_writer")]
        indexes = [
            models.Index(fields=["profile", "profile_revision"], name="device_by_profile"),
            models.Index(fields=["name", "kind"], name="device_by_name"),
            models.Index(fields=["profile", "run"], name="run_by_profile"),
        ]
        ordering = ["kind", "key"]

    def __str__(self):
        return self.name

    @property
    def utilisation(self) -> float:
        """Mean utilisation of what the run held, 0 to 1."""
        return min(self.busy_s / self.elapsed_s, 1.0) if self.elapsed_s > 0 else 0.0

    @property
    def mean_power_w(self) -> float:
        return estimation.J_PER_KWH * self.energy_kwh / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def facts(self, elapsed_s: float, busy_s: float, energy_j: float | None) -> estimation.Facts:
        """This device's facts with other counters: those of a day, or of an interval of its chart."""
        return estimation.Facts(
            self.kind,
            elapsed_s,
            busy_s,
            energy_j,
            self.measured_by,
            self.cores,
            self.threads,
            self.memory_gb,
            self.share,
            self.name,
            self.host_cores,
            self.host_threads,
        )

    def last_facts(self) -> estimation.Facts:
        return self.facts(self.elapsed_s, self.busy_s, self.energy_j)

    def advance(self, elapsed_s: float, busy_s: float, energy_j: float | None, day: date) -> None:
        """Take a sample's cumulative counters; an older or repeated one changes nothing but its own day's end."""
        if self.counted_on is None or elapsed_s > self.elapsed_s:
            if self.counted_on and day > self.counted_on:
                self.day_ends[self.counted_on.isoformat()] = [self.elapsed_s, self.busy_s, self.energy_j]
            self.counted_on = max(day, self.counted_on or day)
            self.elapsed_s, self.busy_s, self.energy_j = elapsed_s, busy_s, energy_j
        elif day < self.counted_on and elapsed_s > self.day_ends.get(day.isoformat(), [0.0])[0]:
            self.day_ends[day.isoformat()] = [elapsed_s, busy_s, energy_j]

    def facts_by_day(self) -> dict[date, estimation.Facts]:
        """What each day added to the counters; the days add up to the last counters."""
        if self.counted_on is None:
            return {}
        ends = {date.fromisoformat(day): counters for day, counters in sorted(self.day_ends.items())}
        ends[self.counted_on] = [self.elapsed_s, self.busy_s, self.energy_j]
        days, before = {}, [0.0, 0.0, 0.0]
        for day, (elapsed_s, busy_s, energy_j) in ends.items():
            added_j = None if energy_j is None else energy_j - (before[2] or 0.0)
            days[day] = self.facts(elapsed_s - before[0], busy_s - before[1], added_j)
            before = [elapsed_s, busy_s, energy_j]
        return days


def carriers(devices: list[Device]) -> list[Device]:
    """What carries a run, whose time is its device-hours: its accelerators, else its processors; never memory."""
    used = [device for device in devices if device.kind in ACCELERATORS]
    return used or [device for device in devices if device.kind == Device.Kind.CPU]
