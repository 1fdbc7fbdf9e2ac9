"""Daily and monthly totals, so that pages take the same time with a thousand or ten million runs."""

from collections.abc import Mapping
from itertools import repeat

from django.db import models
from django.db.models.expressions import Expression, RawSQL

from runs.models.project import Project
from runs.models.run import Run
from runs.models.tracked_model import TrackedModel
from runs.sql import writes
from runs.sql.within_project import OfProject, WithinProject

AMOUNTS = (
    "runs",
    "duration_s",
    "device_s",
    "energy_kwh",
    "energy_low_kwh",
    "energy_high_kwh",
    "measured_kwh",
    "modelled_kwh",
    "emissions_kg",
    "failed_kwh",
    "cancelled_kwh",
    "idle_kwh",
    "carrying_s",
)
KEY = ("project_id", "tracked_model_id", "kind", "member_id", "device_kind", "hardware", "day")
TAGGED_KEY = (*KEY, "tag")
PROJECT_KEY = ("project_id", "day")
RUN_KEY = ("project_id", "run_id", "day")
#: The columns that footprints sum, after those that they group by, in their order.
FOOTPRINT = ["project", "tracked_model", "kind", "member_id", "hardware", "day"]
FOOTPRINT += ["runs", "emissions_kg", "energy_kwh", "measured_kwh"]
#: What a list of runs on selected days reads about each, from an index instead of the rows.
RAN = ["project", "day", "run", "energy_kwh", "emissions_kg", "failed_kwh", "cancelled_kwh", "idle_kwh"]
SUMMED = ["project", "day", "kind", "tracked_model", "member_id", "emissions_kg", "energy_kwh"]


class PlainSum(models.Sum):
    """A sum without conversion: it is already a float, and converting each took a tenth of an overview's time."""

    convert_value = staticmethod(Expression._convert_value_noop)  # type: ignore[attr-defined, assignment]


class UsageQuerySet(models.QuerySet["Amounts"]):
    def for_user(self, user, team=None):
        """The usage of projects that this person may see; with `team`, only of that team's projects."""
        found = self.filter(project__team__membership__user=user)
        return found.filter(project__team=team) if team else found

    def with_energy(self):
        """The rows of hardware, without those that count runs; a partial index holds them.

        The empty text is written into the SQL: with a parameter, SQLite uses the index but still looks up each row to
        check the index's condition again.
        """
        return self.exclude(hardware=RawSQL("''", ()))

    def add(self, amounts_by_key: Mapping[tuple, Mapping[str, float]]) -> None:
        """Add amounts (negative ones subtract) to rows by the table's key.

        Keys are sorted, so that two uploads that change the same rows can't deadlock.
        """
        self._write(amounts_by_key, put=False)
        # If something was subtracted, or nothing added, a row may end up empty and is then deleted.
        lessened = [key for key, amounts in sorted(amounts_by_key.items()) if min(amounts.values(), default=0) <= 0]
        writes.delete_empty(self.model, self.model.KEY, self.model.ADDED, lessened)

    def put(self, amounts_by_key: Mapping[tuple, Mapping[str, float]]) -> None:
        """Set the amounts of rows, whatever they were before; in the same order as `add`."""
        self._write(amounts_by_key, put=True)

    def _write(self, amounts_by_key: Mapping[tuple, Mapping[str, float]], put: bool) -> None:
        names = self.model.ADDED
        rows = [(*key, *map(amounts.get, names, repeat(0))) for key, amounts in sorted(amounts_by_key.items())]
        writes.upsert(self.model, self.model.KEY, names, rows, put)


class Amounts(OfProject):
    """What a project used on one day (UTC). Every amount may be summed over any rows of a table."""

    #: The columns that identify a row of the table, and the columns that are summed.
    KEY: tuple[str, ...]
    ADDED = AMOUNTS

    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False)
    day = models.DateField()
    runs = models.IntegerField(default=0)
    duration_s = models.FloatField(default=0.0)
    device_s = models.FloatField(default=0.0, help_text="Of accelerators and processors, not of memory.")
    energy_kwh = models.FloatField(default=0.0)
    energy_low_kwh = models.FloatField(default=0.0)
    energy_high_kwh = models.FloatField(default=0.0)
    measured_kwh = models.FloatField(default=0.0)
    modelled_kwh = models.FloatField(default=0.0, help_text="Energy of hosted models.")
    emissions_kg = models.FloatField(default=0.0)
    failed_kwh = models.FloatField(default=0.0, help_text="Energy of runs that failed, if of a wastable kind.")
    cancelled_kwh = models.FloatField(
        default=0.0, help_text="Energy of runs that were cancelled, if of a wastable kind."
    )
    idle_kwh = models.FloatField(default=0.0, help_text="Energy of accelerators while they were not busy.")
    carrying_s = models.FloatField(
        default=0.0, help_text="Device-seconds of a run's accelerators, or of its processors where it has none."
    )

    objects = UsageQuerySet.as_manager()

    class Meta:
        abstract = True


class ProjectUsage(Amounts):
    """The daily totals of a whole project; each overview reads a year of them."""

    KEY = PROJECT_KEY

    class Meta:
        constraints = [models.UniqueConstraint(fields=PROJECT_KEY, name="project_usage_once_per_day")]
        verbose_name_plural = "project usage"

    def __str__(self):
        return f"{self.day} {self.project_id}"


class RunUsage(Amounts):
    """What one run used on one day: which runs belong to a day, and how much of each.

    There is a row for every day on which a run began or used energy. The rows of a day add up to the day's totals.
    """

    KEY = RUN_KEY

    run = WithinProject(Run, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=RUN_KEY, name="run_usage_once_per_day")]
        indexes = [models.Index(fields=RAN, name="run_usage_ran")]
        verbose_name_plural = "run usage"

    def __str__(self):
        return f"{self.day} {self.run_id}"


class Usage(Amounts):
    """What one model used on one day, by kind of run, member and hardware.

    The row with an empty `hardware` counts the runs that started on the day and their seconds. The others hold the
    device-seconds (none for memory), energy and emissions of that hardware.
    """

    tracked_model = WithinProject(TrackedModel, on_delete=models.CASCADE)
    kind = models.CharField(max_length=12, choices=Run.Kind.choices)
    member_id = models.BigIntegerField(default=0, help_text="As in Run.")
    device_kind = models.CharField(max_length=8, blank=True)
    hardware = models.CharField(max_length=200, blank=True, help_text="Slug of the hardware profile.")

    class Meta:
        abstract = True

    def __str__(self):
        return f"{self.day} {self.tracked_model_id} {self.hardware or 'runs'}"


class DailyUsage(Usage):
    """The daily totals of all runs, for whatever does not consist of whole months."""

    KEY = KEY

    class Meta:
        constraints = [models.UniqueConstraint(fields=KEY, name="usage_once_per_key")]
        indexes = [
            models.Index(fields=["project", "day"], name="usage_by_day"),
            models.Index(fields=["tracked_model", "day"], name="usage_by_model"),
            # A year by day or a trend by model, read only from the index, without the rows.
            models.Index(fields=SUMMED, condition=~models.Q(hardware=""), name="usage_summed"),
        ]
        verbose_name_plural = "daily usage"


class MonthlyUsage(Usage):
    """The same amounts by month; `day` is its first. A long period has a sixth of the rows here, or fewer."""

    KEY = KEY

    class Meta:
        constraints = [models.UniqueConstraint(fields=KEY, name="monthly_usage_once_per_key")]
        indexes = [models.Index(fields=FOOTPRINT, name="monthly_usage_footprint")]
        verbose_name_plural = "monthly usage"


class TaggedUsage(Usage):
    """The daily totals of the runs with a tag. A run with two tags is in the rows of both: never sum over tags."""

    KEY = TAGGED_KEY

    tag = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=TAGGED_KEY, name="tagged_usage_once_per_key")]
        indexes = [
            models.Index(fields=["project", "tag", "day"], name="tagged_usage_by_day"),
            models.Index(
                fields=["project", "tag", *SUMMED[1:]], condition=~models.Q(hardware=""), name="tagged_usage_summed"
            ),
        ]
        verbose_name_plural = "tagged usage"
