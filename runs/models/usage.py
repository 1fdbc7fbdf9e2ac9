"""Daily totals: what dashboards read, so that a page costs the same with a thousand or ten million runs."""

from collections.abc import Callable, Mapping

from django.db import connections, models
from django.db.models.expressions import Expression, RawSQL

from runs.models.project import Project
from runs.models.run import Run
from runs.models.tracked_model import TrackedModel

#: What is left by less than this share of what was taken away, or by less than 0.4 mJ's kWh, is the last digit of
#: floating-point sums and no amount: it is set to 0, lest a day of no runs has −0 kWh.
RESIDUE, LEAST = 1e-9, 1e-10

AMOUNTS = (
    "runs",
    "duration_s",
    "device_s",
    "energy_kwh",
    "energy_low_kwh",
    "energy_high_kwh",
    "measured_kwh",
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
#: What footprints add up, behind what they group it by, in their order.
FOOTPRINT = ["project", "tracked_model", "kind", "member_id", "hardware", "day"]
FOOTPRINT += ["runs", "emissions_kg", "energy_kwh", "measured_kwh"]
#: What a list of the runs of some days reads of each: off an index, without the rows.
RAN = ["project", "day", "run", "energy_kwh", "emissions_kg", "failed_kwh", "cancelled_kwh", "idle_kwh"]
SUMMED = ["project", "day", "kind", "tracked_model", "member_id", "emissions_kg", "energy_kwh"]


class Total(models.Sum):
    """A sum as the database gives it, which is a float already: to see to that of each took a tenth of an overview."""

    convert_value = staticmethod(Expression._convert_value_noop)  # type: ignore[attr-defined, assignment]


class UsageQuerySet(models.QuerySet["Amounts"]):
    def for_user(self, user, team=None):
        """The usage of the projects that this person may see; with a team of its projects alone."""
        found = self.filter(project__team__membership__user=user)
        return found.filter(project__team=team) if team else found

    def with_energy(self):
        """The rows of hardware, without those that count runs: as a partial index has them.

        The empty text is written into the SQL: where it is a parameter, SQLite takes the index but looks up each of
        its rows, to see again what the index's condition says.
        """
        return self.exclude(hardware=RawSQL("''", ()))

    def add(self, amounts_by_key: Mapping[tuple, Mapping[str, float]]) -> None:
        """Add amounts (negative ones take away) to rows by the table's key.

        In one order of keys, so that two uploads that touch the same rows can't wait for each other in a circle. By
        the driver, as bulk_create can replace what a row has but not add to it, and a query a row cost ten times more.
        """
        self._write(amounts_by_key, _sum_of)
        # Where something was taken away, or nothing added, nothing may be left; a row that counts nothing is no row.
        lessened = [key for key, amounts in sorted(amounts_by_key.items()) if min(amounts.values(), default=0) <= 0]
        with connections[self.db].cursor() as cursor:
            cursor.executemany(self._without_empty(), lessened)

    def _without_empty(self) -> str:
        quote = connections[self.db].ops.quote_name
        conditions = [f"{quote(name)} = %s" for name in self.model.KEY]
        conditions += [f"ABS({quote(name)}) < {LEAST}" for name in self.model.ADDED]
        return f"DELETE FROM {quote(self.model._meta.db_table)} WHERE {' AND '.join(conditions)}"  # noqa: S608 (names of ours)

    def put(self, amounts_by_key: Mapping[tuple, Mapping[str, float]]) -> None:
        """Let rows have these amounts, whatever they had; in the same order and way as `add`."""
        self._write(amounts_by_key, _put)

    def _write(self, amounts_by_key: Mapping[tuple, Mapping[str, float]], value: Callable[[str, str], str]) -> None:
        names = self.model.ADDED
        rows = [(*key, *(amounts.get(name, 0) for name in names)) for key, amounts in sorted(amounts_by_key.items())]
        with connections[self.db].cursor() as cursor:
            cursor.executemany(self._upsert(value), rows)

    def _upsert(self, value: Callable[[str, str], str]) -> str:
        quote = connections[self.db].ops.quote_name
        table, amounts = quote(self.model._meta.db_table), self.model.ADDED
        names = [*self.model.KEY, *amounts]
        added = ", ".join(f"{quote(name)} = {value(table, quote(name))}" for name in amounts)
        return (
            f"INSERT INTO {table} ({', '.join(map(quote, names))}) VALUES ({', '.join(['%s'] * len(names))}) "  # noqa: S608 (names of ours)
            f"ON CONFLICT ({', '.join(map(quote, self.model.KEY))}) DO UPDATE SET {added}"
        )


def _sum_of(table: str, name: str) -> str:
    whole = f"{table}.{name} + excluded.{name}"
    is_residue = f"excluded.{name} < 0 AND ABS({whole}) < {LEAST} - {RESIDUE} * excluded.{name}"
    return f"CASE WHEN {is_residue} THEN 0 ELSE {whole} END"


def _put(table: str, name: str) -> str:
    return f"excluded.{name}"


class Amounts(models.Model):
    """What a project used on one day (UTC). Every amount may be summed over any rows of a table."""

    #: What tells the rows of a table apart, and what is added up in them.
    KEY: tuple[str, ...]
    ADDED = AMOUNTS

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    day = models.DateField()
    runs = models.IntegerField(default=0)
    duration_s = models.FloatField(default=0.0)
    device_s = models.FloatField(default=0.0, help_text="Of accelerators and processors, not of memory.")
    energy_kwh = models.FloatField(default=0.0)
    energy_low_kwh = models.FloatField(default=0.0)
    energy_high_kwh = models.FloatField(default=0.0)
    measured_kwh = models.FloatField(default=0.0)
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
    """The daily totals of a project as a whole: a year of them is read for each overview."""

    KEY = PROJECT_KEY

    class Meta:
        constraints = [models.UniqueConstraint(fields=PROJECT_KEY, name="project_usage_once_per_day")]
        verbose_name_plural = "project usage"

    def __str__(self):
        return f"{self.day} {self.project_id}"


class RunUsage(Amounts):
    """What one run used on one day: which runs made a day, and how much of each belongs to it.

    There is a row for every day that a run began or used energy on. The rows of a day add up to the day's totals.
    """

    KEY = RUN_KEY

    run = models.ForeignKey(Run, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=RUN_KEY, name="run_usage_once_per_day")]
        indexes = [models.Index(fields=RAN, name="run_usage_ran")]
        verbose_name_plural = "run usage"

    def __str__(self):
        return f"{self.day} {self.run_id}"


class Usage(Amounts):
    """What one model used on one day, by kind of run, member and hardware.

    The row with an empty `hardware` counts the runs that started on the day and their seconds, the others the
    device-seconds (none of memory), energy and emissions of that hardware.
    """

    tracked_model = models.ForeignKey(TrackedModel, on_delete=models.CASCADE)
    kind = models.CharField(max_length=12, choices=Run.Kind.choices)
    member_id = models.BigIntegerField(default=0, help_text="As in Run.")
    device_kind = models.CharField(max_length=8, blank=True)
    hardware = models.CharField(max_length=200, blank=True, help_text="Slug of the hardware profile.")

    class Meta:
        abstract = True

    def __str__(self):
        return f"{self.day} {self.tracked_model_id} {self.hardware or 'runs'}"


class DailyUsage(Usage):
    """The daily totals of all runs."""

    KEY = KEY

    class Meta:
        constraints = [models.UniqueConstraint(fields=KEY, name="usage_once_per_key")]
        indexes = [
            models.Index(fields=["project", "day"], name="usage_by_day"),
            models.Index(fields=["tracked_model", "day"], name="usage_by_model"),
            models.Index(fields=FOOTPRINT, name="usage_footprint"),
            # A year by day, a trend by model: read off the index alone, without the rows.
            models.Index(fields=SUMMED, condition=~models.Q(hardware=""), name="usage_summed"),
        ]
        verbose_name_plural = "daily usage"


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
