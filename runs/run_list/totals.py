"""Totals of the listed runs, from the daily totals if possible, otherwise from the runs."""

from typing import NamedTuple

from django.db.models import Count, FloatField, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from runs.models import ProjectUsage, Run, TaggedUsage
from runs.selection.run_filters import RunFilters


class ListTotals(NamedTuple):
    runs: int
    energy_kwh: float
    emissions_kg: float


def totals_of(runs) -> ListTotals:
    """Return the totals of these runs, each joule once: without what other runs of the same process count."""
    sums = runs.aggregate(runs=Count("pk"), **_sums("energy_kwh", "emissions_kg", "shared_kwh", "shared_kg"))
    energy_kwh, emissions_kg = sums["energy_kwh"] - sums["shared_kwh"], sums["emissions_kg"] - sums["shared_kg"]
    return ListTotals(sums["runs"], energy_kwh, emissions_kg)


def days_know(filters: RunFilters) -> bool:
    """Return whether the daily totals can provide the totals of the matching runs."""
    return not filters._replace(project="", tag="").is_set


def totals_by_day(projects: list[int], tag: str = "", archived: ListTotals | None = None) -> ListTotals:
    """Do the same as totals_of, from the days of all runs of these projects or of those with a tag.

    Days include archived runs, so their totals are subtracted: these runs are few, and read here unless already known.
    """
    days, tagged = (TaggedUsage, Q(tag=tag)) if tag else (ProjectUsage, Q())
    used = days.objects.filter(tagged, project__in=projects).aggregate(**_sums(*ListTotals._fields))
    gone = archived or totals_of(_archived(projects, tag))
    runs = int(used["runs"]) - gone.runs
    # Without runs the use is zero, not the last digits by which two sums differ.
    left = (used[name] - getattr(gone, name) if runs else 0.0 for name in ("energy_kwh", "emissions_kg"))
    return ListTotals(runs, *left)


def _archived(projects: list[int], tag: str):
    archived = Run.objects.filter(project__in=projects, archived_at__isnull=False)
    return archived.filter(tags__has_item=tag) if tag else archived


def totals_on_days(rows) -> ListTotals:
    """Return what runs used on some days, from their rows of these days."""
    return ListTotals(
        **rows.order_by().aggregate(runs=Count("run", distinct=True), **_sums("energy_kwh", "emissions_kg"))
    )


def totals_of_used(runs) -> ListTotals:
    """Do the same from a few runs with `used_kwh` and `used_kg`."""
    sums = {"energy_kwh": Sum("used_kwh", default=0.0), "emissions_kg": Sum("used_kg", default=0.0)}
    return ListTotals(**runs.aggregate(runs=Count("pk"), **sums))


def runs_in_all(projects: list[int]) -> int:
    """Return how many runs of these projects are not archived, in one query and from the days, as in totals_by_day."""
    days = ProjectUsage.objects.filter(project__in=projects).order_by().values(one=Value(1))
    known = Coalesce(Subquery(days.annotate(sum=Sum("runs")).values("sum")), 0)
    archived = Run.objects.filter(project__in=projects, archived_at__isnull=False)
    return archived.aggregate(runs=known - Count("pk"))["runs"]


def _sums(*names: str) -> dict[str, Coalesce]:
    return {name: Coalesce(Sum(name), 0, output_field=FloatField()) for name in names}
