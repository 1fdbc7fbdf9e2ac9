"""Runs on selected days: which runs started or used energy then, and how much of each belongs to these days.

Days are UTC, as in all daily totals. A run is listed on each day on which it began or used energy, so a list of days
adds up to their bar.
"""

from datetime import date
from typing import NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from runs.models import RunUsage

#: Up to this many days are few.
MOST_FEW = 92


class Days(NamedTuple):
    """From the first to the last day, both included; None leaves an end open."""

    first: date | None = None
    last: date | None = None

    @property
    def are_set(self) -> bool:
        return any(self)

    @property
    def are_few(self) -> bool:
        """Whether they are at most a quarter."""
        return self.first is not None and self.last is not None and (self.last - self.first).days <= MOST_FEW


class Used(NamedTuple):
    """What runs used on some days."""

    energy_kwh: float = 0.0
    emissions_kg: float = 0.0


def on_days(rows: QuerySet, days: Days) -> QuerySet:
    """Return the rows of some runs on these days."""
    rows = rows.filter(day__gte=days.first) if days.first else rows
    return rows.filter(day__lte=days.last) if days.last else rows


def with_used(runs, days: Days):
    """Add `used_kwh` and `used_kg` to the runs: what each used on the days."""
    own = on_days(RunUsage.objects.filter(run=OuterRef("pk")), days).order_by()
    kwh, kg = (Subquery(own.values("run").annotate(sum=Sum(name)).values("sum")) for name in Used._fields)
    return runs.annotate(used_kwh=Coalesce(kwh, 0.0), used_kg=Coalesce(kg, 0.0))


def used_of(run) -> Used:
    """Return what a run of `with_used` used on the days."""
    return Used(run.used_kwh, run.used_kg)
