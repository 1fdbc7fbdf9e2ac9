"""What runs used on the days that a page shows: which runs these are, and how much of each belongs to the days.

Days are UTC, as in all daily totals. A run stands on each day on which it began or used energy, so the list of some
days adds up to their bar.
"""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from runs.models import RunUsage


class Days(NamedTuple):
    """From the first to the last day, both included; an end that is None is open."""

    first: date | None = None
    last: date | None = None

    @property
    def are_set(self) -> bool:
        return any(self)


class Used(NamedTuple):
    """What runs used on some days."""

    energy_kwh: float = 0.0
    emissions_kg: float = 0.0


def on_days(rows: QuerySet, days: Days) -> QuerySet:
    """The rows of some runs that fall on these days."""
    rows = rows.filter(day__gte=days.first) if days.first else rows
    return rows.filter(day__lte=days.last) if days.last else rows


def ran_in(projects: Collection[int], days: Days) -> QuerySet:
    """A row for each run of these projects and each of the days on which it ran."""
    return on_days(RunUsage.objects.filter(project__in=projects), days)


def used_by(rows: QuerySet) -> Used:
    """What all of these rows add up to."""
    sums = rows.order_by().aggregate(**{name: Sum(name, default=0.0) for name in Used._fields})
    return Used(**sums)


def used_by_run(pks: Collection[int], days: Days) -> dict[int, Used]:
    """What each of these runs used on the days."""
    rows = on_days(RunUsage.objects.filter(run__in=pks), days).order_by()
    return {run: Used(*sums) for run, *sums in rows.values_list("run").annotate(*map(Sum, Used._fields))}


def with_used(runs: QuerySet, days: Days) -> QuerySet:
    """The runs with `used_kwh`, their energy of the days, to be sorted by."""
    own = on_days(RunUsage.objects.filter(project=OuterRef("project"), run=OuterRef("pk")), days).order_by()
    used = Subquery(own.values("run").annotate(kwh=Sum("energy_kwh")).values("kwh"))
    return runs.annotate(used_kwh=Coalesce(used, 0.0))
