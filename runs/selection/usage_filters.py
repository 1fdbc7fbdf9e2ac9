"""Filters of the overview, applied to daily totals and runs."""

from typing import NamedTuple, TypeVar

from django.db.models import Q, QuerySet

from runs.figures.periods import Period
from runs.models import Correction, DailyUsage, MonthlyUsage, ProjectUsage, Run, RunUsage, TaggedUsage
from runs.models.run import RunQuerySet
from runs.models.usage import UsageQuerySet
from runs.selection.choices import Choices, address_of, member_ids

Rows = TypeVar("Rows", bound=QuerySet)


class UsageFilters(NamedTuple):
    """An empty field does not filter; an unknown value matches nothing.

    `model` is `project/slug`, `member` a person's id.
    """

    project: str = ""
    model: str = ""
    kind: str = ""
    member: str = ""
    tag: str = ""

    @property
    def is_set(self) -> bool:
        return any(self)


def usage_of(found: Choices, filters: UsageFilters) -> UsageQuerySet:
    """Return the daily totals that match the filters; with a tag, those of the runs with the tag.

    Filtered by project ids: through memberships, the database would not use the covering index.
    """
    rows = TaggedUsage.objects.filter(tag=filters.tag) if filters.tag else DailyUsage.objects.all()
    return _narrowed(rows, found, filters)


def usage_in(found: Choices, filters: UsageFilters, period: Period) -> list[UsageQuerySet]:
    """Return the rows of usage_of in a period, of its whole months from the monthly totals; they add up to the same.

    The totals by tag are only by day.
    """
    daily, months = usage_of(found, filters), None if filters.tag else period.whole_months
    if months is None:
        return [period.days_of(daily)]
    monthly = _narrowed(MonthlyUsage.objects.all(), found, filters)
    return [months.days_of(monthly), *(days.days_of(daily) for days in period.around(months))]


def tags_of(found: Choices, filters: UsageFilters) -> UsageQuerySet:
    """Return the daily totals by tag that match the filters. Never sum over tags: a run may have several."""
    rows = TaggedUsage.objects.filter(tag=filters.tag) if filters.tag else TaggedUsage.objects.all()
    return _narrowed(rows, found, filters)


def days_of(found: Choices, filters: UsageFilters) -> UsageQuerySet:
    """Return the same as usage_of if only days matter: for whole projects from a table a hundredth as long."""
    if any(filters._replace(project="")):
        return usage_of(found, filters)
    return _narrowed(ProjectUsage.objects.all(), found, filters)


def energy_days_of(found: Choices, filters: UsageFilters) -> UsageQuerySet:
    """Return the same as days_of, without the rows that only count runs; an index covers the rest."""
    days = days_of(found, filters)
    return days if days.model is ProjectUsage else days.with_energy()


def corrections_of(found: Choices, filters: UsageFilters) -> QuerySet:
    """Return recalculations of the filtered daily totals. They aren't stored by tag, so tags don't filter them."""
    rows: QuerySet = Correction.objects.all()
    return _narrowed(rows, found, filters)


def runs_of(found: Choices, filters: UsageFilters) -> RunQuerySet:
    """Return the runs that match the filters."""
    runs = Run.objects.filter(tags__has_item=filters.tag) if filters.tag else Run.objects.all()
    return _narrowed(runs, found, filters)


def run_days_of(found: Choices, filters: UsageFilters) -> QuerySet:
    """Return what each of the matching runs used on each day.

    By a join: SQLite would first build a table from a list of the runs, even for a few days.
    """
    rows = RunUsage.objects.filter(run__tags__has_item=filters.tag) if filters.tag else RunUsage.objects.all()
    return _narrowed(rows, found, filters, "run__")


def _narrowed(rows: Rows, found: Choices, filters: UsageFilters, of_run: str = "") -> Rows:
    rows = rows.filter(project__in=found.project_ids)
    for condition in _conditions(found, filters, of_run):
        rows = rows.filter(condition)
    return rows


def _conditions(found: Choices, filters: UsageFilters, of_run: str):
    """Return the condition of each filter; `of_run` is the prefix that leads from a row to its run."""
    if filters.project:
        yield Q(project__in=[row["project_id"] for row in found.models if row["project__slug"] == filters.project])
    if filters.model:
        asked = [row["pk"] for row in found.models if address_of(row) == filters.model]
        yield Q(**{f"{of_run}tracked_model__in": asked})
    if filters.kind:
        yield Q(**{f"{of_run}kind": filters.kind})
    if filters.member:
        yield Q(**{f"{of_run}member_id__in": member_ids(filters.member)})
