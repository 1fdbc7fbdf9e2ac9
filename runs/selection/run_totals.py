"""Totals of the listed runs: from the sums that are kept of them if these know the filters, otherwise from the runs."""

from typing import NamedTuple

from django.db.models import Count, FloatField, Sum
from django.db.models.functions import Coalesce

from runs.selection import kept_sums
from runs.selection.choices import Choices
from runs.selection.finding import MOST_FOUND
from runs.selection.run_days import Used, on_days
from runs.selection.run_filters import RunFilters
from runs.selection.usage_filters import UsageFilters, days_of


class ListTotals(NamedTuple):
    """Number, energy and emissions of the runs that match. If `is_least`, nobody counted them: there are `runs` or
    more. Without `has_sums`, nobody added them up either."""

    runs: int
    energy_kwh: float
    emissions_kg: float
    is_least: bool = False
    has_sums: bool = True

    @property
    def listed(self) -> int:
        """How many of them have a place on a page."""
        return min(self.runs, MOST_FOUND) if self.is_least else self.runs


NOTHING = ListTotals(0, 0.0, 0.0)
#: The totals of runs that are too many to be added up.
MANY = ListTotals(MOST_FOUND, 0.0, 0.0, is_least=True, has_sums=False)
#: The filters that daily totals know.
KNOWN_DAILY = {"project", "model", "kind", "member", "tag", "since", "until", "archived"}
#: So many rows of runs and days have more than MOST_FOUND runs, unless most runs took several days.
MOST_DAYS_READ = MOST_FOUND + MOST_FOUND // 5
#: What is summed; the shared part is subtracted.
SUMMED = ("energy_kwh", "emissions_kg", "shared_kwh", "shared_kg")


def totals_of(runs) -> ListTotals:
    """Return the totals of these runs, each joule once: without what other runs of the same process count."""
    return _counted(**runs.aggregate(runs=Count("pk"), **_sums(*SUMMED)))


def _counted(runs: int, energy_kwh: float, emissions_kg: float, shared_kwh: float, shared_kg: float) -> ListTotals:
    # Without runs the use is zero, not the last digits by which two sums differ.
    return ListTotals(runs, energy_kwh - shared_kwh, emissions_kg - shared_kg) if runs else NOTHING


def bounded_totals_of(runs) -> ListTotals:
    """Do the same as totals_of, unless there are more than MOST_FOUND, which nobody waits for."""
    totals = totals_of(runs.order_by()[: MOST_FOUND + 1])
    return MANY if totals.runs > MOST_FOUND else totals


def kept_totals(projects: list[int], filters: RunFilters) -> tuple[ListTotals, ListTotals]:
    """Return the totals of the matching runs that are not archived, and of those that are: of filters that
    `kept_sums.know_totals`, whatever they say about archived runs."""
    both = filters._replace(archived="too")
    parts: dict[bool, list] = {False: [], True: []}
    for is_archived, *sums in kept_sums.matching_sums(projects, both):
        parts[bool(is_archived)].append(sums)
    shown, archived = (_counted(*map(sum, zip(*rows, strict=True))) if rows else NOTHING for rows in parts.values())
    return shown, archived


def together(one: ListTotals, other: ListTotals) -> ListTotals:
    return ListTotals(one.runs + other.runs, one.energy_kwh + other.energy_kwh, one.emissions_kg + other.emissions_kg)


def totals_on_days(rows) -> ListTotals:
    """Return what runs used on some days, from their rows of these days."""
    return ListTotals(**rows.order_by().aggregate(runs=Count("run", distinct=True), **_sums(*Used._fields)))


def bounded_totals_on_days(rows) -> ListTotals:
    """Do the same, unless there are more than MOST_FOUND runs, which nobody waits for."""
    some = rows.order_by()[:MOST_DAYS_READ]
    found = some.aggregate(read=Count("pk"), runs=Count("run", distinct=True), **_sums(*Used._fields))
    was_cut = found.pop("read") == MOST_DAYS_READ
    if was_cut:
        return MANY if found["runs"] > MOST_FOUND else totals_on_days(rows)
    return ListTotals(**found)


def kept_totals_on_days(found: Choices, filters: RunFilters, archived: ListTotals | None) -> ListTotals | None:
    """Return the totals of the runs of some days from the daily totals, if these know the filters and the runs are
    more than MOST_FOUND; `archived` are those of archived runs that the list leaves out.

    The daily totals know how many runs began on these days, but not how many went on from earlier ones.
    """
    if not filters.names_set <= KNOWN_DAILY or filters.archived == "only":
        return None
    usage = days_of(found, UsageFilters(filters.project, filters.model, filters.kind, filters.member, filters.tag))
    begun = ListTotals(**on_days(usage, filters.days).aggregate(runs=Coalesce(Sum("runs"), 0), **_sums(*Used._fields)))
    if begun.runs <= MOST_FOUND:
        return None
    without = archived or NOTHING
    return ListTotals(
        runs=begun.runs - without.runs,
        energy_kwh=begun.energy_kwh - without.energy_kwh,
        emissions_kg=begun.emissions_kg - without.emissions_kg,
        is_least=True,
    )


def totals_of_used(runs) -> ListTotals:
    """Do the same from a few runs with `used_kwh` and `used_kg`."""
    sums = {"energy_kwh": Sum("used_kwh", default=0.0), "emissions_kg": Sum("used_kg", default=0.0)}
    return ListTotals(**runs.aggregate(runs=Count("pk"), **sums))


def _sums(*names: str) -> dict[str, Coalesce]:
    return {name: Coalesce(Sum(name), 0, output_field=FloatField()) for name in names}
