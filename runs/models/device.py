"""Devices of a run: what the agent saw, and what estimation calculated."""

from collections import Counter
from datetime import date

from django.db import models
from django.db.models import Count, Max, Min, Q, Sum

from hardware.models import HardwareProfile
from runs.models.project import Project
from runs.models.run import Run
from runs.models.writer import Writer
from runs.sql.within_project import OfProject, WithinProject
from traceml_agent import estimation

#: Devices that a run holds exclusively: nobody else can use their idle time.
ACCELERATORS = (HardwareProfile.Kind.GPU, HardwareProfile.Kind.TPU, HardwareProfile.Kind.NPU)
#: The cumulative counters, in the order in which `day_ends` keeps them. The other four belong to devices that several
#: runs share: the run's part of the elapsed seconds, and the part of all three that other runs count.
COUNTERS = ("elapsed_s", "busy_s", "energy_j")
PARTS = ("held_s", "shared_held_s", "shared_busy_s", "shared_energy_j")


class DeviceQuerySet(models.QuerySet):
    def for_user(self, user, team=None):
        """The devices of projects that this person may see; with `team`, only of that team's projects."""
        found = self.filter(project__team__membership__user=user)
        return found.filter(project__team=team) if team else found

    def not_in_catalogue(self):
        """Devices without a profile, or with a generic one. Memory is estimated from its size and needs none, and
        whatever a hosted model runs on is not told."""
        found = self.filter(Q(profile=None) | Q(profile__fallback=True)).exclude(kind=Device.Kind.RAM)
        return found.exclude(basis=estimation.MODELLED).order_by()

    def unknown_names(self) -> list[dict]:
        """Return names of these devices that have no profile, with what they affect; the most used first.

        They include names of virtual processors that no catalogue can contain, because such names say nothing about the
        machine.
        """
        rows = (
            self.not_in_catalogue()
            .values("name", "kind", "memory_gb")
            .annotate(
                runs=Count("run", distinct=True),
                teams=Count("project__team", distinct=True),
                first_seen=Min("run__started_at"),
                last_seen=Max("run__last_seen_at"),
                kwh=Sum("energy_kwh"),
            )
        )
        return list(rows.order_by("-kwh", "name"))

    def unknown_name_count(self) -> int:
        return self.not_in_catalogue().values("name").distinct().count()


class Device(OfProject):
    """A processor or memory as one writer saw it, with its last cumulative counters.

    `day_ends` keeps the counters at the end of each earlier day, so that energy is counted on the day it was used, and
    days can be recalculated exactly after a profile was corrected.
    """

    Kind = HardwareProfile.Kind

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = WithinProject(Run, on_delete=models.CASCADE, related_name="devices")
    writer = WithinProject(Writer, on_delete=models.CASCADE, db_index=False, related_name="devices")
    key = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=200)
    uuid = models.CharField(max_length=100, blank=True)
    method = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=500, blank=True)
    measured_by = models.CharField(
        max_length=8, blank=True, help_text="counter, sensor, split, reported or modelled, as it arrived."
    )
    cores = models.FloatField(null=True)
    threads = models.FloatField(null=True)
    host_cores = models.FloatField(null=True)
    host_threads = models.FloatField(null=True)
    memory_gb = models.FloatField(null=True)
    share = models.FloatField(default=1.0)
    power_limit_w = models.FloatField(null=True)
    range_low = models.FloatField(
        null=True, help_text="Lowest energy as a factor of energy_j, if its method states it."
    )
    range_high = models.FloatField(null=True, help_text="Highest energy as a factor of energy_j.")

    elapsed_s = models.FloatField(default=0.0)
    busy_s = models.FloatField(default=0.0, null=True, help_text="Empty where the device tells no utilisation.")
    energy_j = models.FloatField(null=True, help_text="Measured joules so far; empty where nothing was measured.")
    held_s = models.FloatField(
        null=True, help_text="The run's part of elapsed_s where several jobs held it; else empty."
    )
    shared_held_s = models.FloatField(default=0.0, help_text="What of held_s other runs of the process count.")
    shared_busy_s = models.FloatField(default=0.0)
    shared_energy_j = models.FloatField(default=0.0)
    counted_on = models.DateField(null=True)
    day_ends = models.JSONField(default=dict)

    profile = models.ForeignKey(HardwareProfile, null=True, on_delete=models.SET_NULL, db_index=False)
    profile_revision = models.PositiveIntegerField(default=0)
    estimation_revision = models.PositiveSmallIntegerField(default=1, help_text="Of the formulas and their constants.")
    matched_by = models.CharField(max_length=20, blank=True, help_text="How its name led to the profile.")
    basis = models.CharField(max_length=8, blank=True)
    counted = models.BooleanField(default=True, help_text="False where another writer reports the same device.")
    energy_kwh = models.FloatField(default=0.0)
    energy_low_kwh = models.FloatField(default=0.0)
    energy_high_kwh = models.FloatField(default=0.0)
    shared_kwh = models.FloatField(default=0.0, help_text="What of energy_kwh other runs count in totals.")

    objects = DeviceQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["writer", "key"], name="device_once_per_writer")]
        indexes = [
            models.Index(fields=["profile", "profile_revision"], name="device_by_profile"),
            models.Index(fields=["name", "kind"], name="device_by_name"),
            models.Index(fields=["profile", "run", "project"], name="run_by_profile"),
        ]
        ordering = ["kind", "key"]

    def __str__(self):
        return self.name

    @property
    def hardware_name(self) -> str:
        """The device in words: the name of its profile, or else the driver's name; memory is just memory."""
        if self.kind == Device.Kind.RAM:
            return self.get_kind_display()
        return called(self.name, *((self.profile.name, self.profile.fallback) if self.profile else (None, None)))

    @property
    def utilisation(self) -> float | None:
        """Mean utilisation of what the run held, 0 to 1; None if the device doesn't report it."""
        if self.busy_s is None:
            return None
        return min(self.busy_s / self.elapsed_s, 1.0) if self.elapsed_s > 0 else 0.0

    @property
    def mean_power_w(self) -> float:
        return estimation.mean_power_w(self.energy_kwh, self.elapsed_s)

    def facts(self, elapsed_s: float, busy_s: float | None, energy_j: float | None) -> estimation.Facts:
        """Return this device's facts with other counters, such as those of a day or of an interval of its chart."""
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
            self.range_low,
            self.range_high,
        )

    @property
    def held_share(self) -> float:
        """Share of the observed time that the device belonged to the run, 0 to 1."""
        return 1.0 if self.held_s is None or not self.elapsed_s else self.held_s / self.elapsed_s

    def last_facts(self) -> estimation.Facts:
        """Everything that the run used of the device, which the run's own page shows."""
        held_s = self.elapsed_s if self.held_s is None else self.held_s
        return self.facts(held_s, self.busy_s, self.energy_j)

    def counted_facts(self) -> estimation.Facts:
        """What totals count for the run, without the part that other runs count."""
        return self.facts(*_counted(*self._counters()))

    def _counters(self) -> list:
        """The last counters in the form of `day_ends`: only the first three if nothing is shared."""
        found = [getattr(self, name) for name in COUNTERS]
        return found if self.held_s is None else found + [getattr(self, name) for name in PARTS]

    def advance(
        self, elapsed_s: float, busy_s: float | None, energy_j: float | None, day: date, parts: tuple = ()
    ) -> None:
        """Store a sample's cumulative counters; an older or repeated sample only changes the end of its own day.

        `parts` are the counters of PARTS, from the moment the device is shared; empty before.
        """
        if self.counted_on is None or elapsed_s > self.elapsed_s:
            if self.counted_on and day > self.counted_on:
                self.day_ends[self.counted_on.isoformat()] = self._counters()
            self.counted_on = max(day, self.counted_on or day)
            self.elapsed_s, self.busy_s, self.energy_j = elapsed_s, busy_s, energy_j
            for name, value in zip(PARTS, parts, strict=False):
                setattr(self, name, value)
        elif day < self.counted_on and elapsed_s > self.day_ends.get(day.isoformat(), [0.0])[0]:
            self.day_ends[day.isoformat()] = [elapsed_s, busy_s, energy_j, *parts]

    def facts_by_day(self) -> dict[date, estimation.Facts]:
        """Return what each day added to the counters that are counted; the days add up to `counted_facts`."""
        if self.counted_on is None:
            return {}
        ends = {date.fromisoformat(day): counters for day, counters in sorted(self.day_ends.items())}
        ends[self.counted_on] = self._counters()
        days: dict[date, estimation.Facts] = {}
        before: list = [0.0, 0.0, 0.0]
        for day, (elapsed_s, busy_s, *rest) in ends.items():
            if busy_s is None:  # reported later, if at all: then the overall utilisation is assumed
                busy_s = elapsed_s * (self.utilisation or 0.0)
            now = _counted(elapsed_s, busy_s, *rest)
            added_busy_s = None if self.busy_s is None else now[1] - before[1]
            added_j = None if now[2] is None else now[2] - (before[2] or 0.0)
            days[day] = self.facts(now[0] - before[0], added_busy_s, added_j)
            before = now
        return days


def called(name: str, profile: str | None, is_generic: bool | None) -> str:
    """Return a device's name for people: that of its profile, unless that is the generic one."""
    return name if profile is None or is_generic else profile


def in_words(counts: Counter[str]) -> str:
    """Describe hardware counted by name: `4 × NVIDIA A100 SXM4 80GB, AMD EPYC 7742`, the most frequent first."""
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.most_common())


def carriers(devices: list[Device]) -> list[Device]:
    """Return the devices whose time is the run's device-hours: accelerators, or else processors; never memory."""
    used = [device for device in devices if device.kind in ACCELERATORS]
    return used or [device for device in devices if device.kind == Device.Kind.CPU]


def _counted(
    elapsed_s: float,
    busy_s: float | None,
    energy_j: float | None,
    held_s: float | None = None,
    shared_held_s: float = 0.0,
    shared_busy_s: float = 0.0,
    shared_energy_j: float = 0.0,
) -> list:
    """Return the seconds held, seconds busy and joules of some counters, without the part that other runs count."""
    held_s = elapsed_s if held_s is None else held_s
    counted_j = None if energy_j is None else max(energy_j - shared_energy_j, 0.0)
    counted_busy_s = None if busy_s is None else max(busy_s - shared_busy_s, 0.0)
    return [max(held_s - shared_held_s, 0.0), counted_busy_s, counted_j]
