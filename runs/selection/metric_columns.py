"""Metrics as columns of the run list: names, values, and sorting by them."""

from typing import NamedTuple
from zlib import crc32

from django.db.models import Case, Count, F, FilteredRelation, Q, Value, When

from runs.models import Metric, MetricDirection
from runs.models.direction import lower_by_name
from runs.models.metric import WORK

MOST_COLUMNS = 6
#: The most names offered.
MOST_OFFERED = 24
#: Which of a run's values a column shows.
VALUES = {"last": "Last value", "best": "Best value"}


class MetricColumn(NamedTuple):
    """A metric by name, and which of its values is shown."""

    name: str
    value: str = "last"

    @property
    def key(self) -> str:
        """Its sort key in an address, whatever the name's length and characters."""
        return f"metric.{crc32(self.name.encode()):08x}"

    @property
    def alias(self) -> str:
        return self.key.replace(".", "_")

    @property
    def _stored(self):
        """The column of Metric; for the best value it depends on the projects' choices."""
        logged = f"{self.alias}_row"
        if self.value == "last":
            return F(f"{logged}__last")
        lower = lower_by_name(self.name)
        turned = MetricDirection.objects.filter(name=self.name, lower=not lower).values("project")
        by_name, otherwise = ("lowest", "highest") if lower else ("highest", "lowest")
        return Case(When(project__in=turned, then=F(f"{logged}__{otherwise}")), default=F(f"{logged}__{by_name}"))

    def joined(self, runs):
        """Add to the runs their value, and whether it is missing: databases sort NULLs differently."""
        named = Q(metrics__name=self.name)
        runs = runs.annotate(**{f"{self.alias}_row": FilteredRelation("metrics", condition=named)})
        missing = Case(When(**{f"{self.alias}_row__id": None}, then=Value(1)), default=Value(0))
        return runs.annotate(**{self.alias: self._stored, f"{self.alias}_missing": missing})

    def order(self, sign: str) -> list[str]:
        """Return the order: runs that logged the metric come first in either direction."""
        return [f"{self.alias}_missing", f"{sign}{self.alias}"]


def names_logged(pks: list[int]) -> list[str]:
    """Return the metrics of these runs, the most frequent first."""
    logged = Metric.objects.filter(run__in=pks).exclude(name__in=WORK).values("name").annotate(runs=Count("pk"))
    return list(logged.order_by("-runs", "name").values_list("name", flat=True)[:MOST_OFFERED])


def values_of(pks: list[int], columns: list[MetricColumn]) -> dict[tuple[int, str], float]:
    """Return the shown value of each of these runs by run and name."""
    if not columns:
        return {}
    found = Metric.objects.filter(run__in=pks, name__in=[column.name for column in columns]).directed()
    return {(each.run_id, each.name): getattr(each, columns[0].value) for each in found}
