"""Groups and totals of runs from the sums that are kept of them (RunSums), for the filters that these know."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.db.models import BooleanField, Case, Count, Q, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from runs.models import Run, RunSums, TrackedModel
from runs.selection.choices import member_ids
from runs.selection.run_filters import RunFilters, asked_items, undated
from runs.sql.run_sums import SUMS, are_kept

#: Filters that narrow any sums, and those of which one may select among the values of a facet.
NARROWING = {"project", "model", "kind", "archived"}
SELECTING = {"tag", "main_hardware", "member", "state", "exception", "param"}

COUNTED = ("energy_kwh", "emissions_kg", "shared_kwh", "shared_kg")
#: What stands for the value of unfinished runs; no value begins with a space.
GOING_ON = " "


def know_groups(filters: RunFilters) -> bool:
    """Return whether the sums that are kept can be grouped by anything under these filters."""
    return are_kept() and filters.names_set <= NARROWING


def know_totals(filters: RunFilters) -> bool:
    """Return whether they hold the totals of the runs that match."""
    if not are_kept():
        return False
    selecting = filters.names_set - NARROWING
    if selecting == {"state"}:
        return filters.state in Run.Status.values and filters.state != Run.Status.RUNNING
    if selecting == {"param"}:
        return len(asked_items(filters.param)) == 1
    return len(selecting) <= 1 and selecting <= SELECTING


def unfinished(projects: Sequence[int], filters: RunFilters):
    """Return the matching runs that are in no sum yet."""
    return undated(Run.objects.filter(project__in=projects), filters).unfinished()


def sums_by(projects: Sequence[int], filters: RunFilters, facet: str, column: str) -> Iterator[tuple[Any, list]]:
    """Return the values of a column of RunSums, each with the sums of SUMS."""
    summed = {f"sum_{name}": Sum(name) for name in SUMS}
    rows = _rows(projects, filters).filter(facet=facet).order_by().values_list(column).annotate(**summed)
    return ((value, sums) for value, *sums in rows if sums[0] > 0)


class RunCounts(NamedTuple):
    """The number of runs that are not archived, and of those that are."""

    shown: int
    archived: int


def runs_in_all(projects: Sequence[int]) -> RunCounts:
    """Count all runs of these projects, in one query."""
    mine = Run.objects.filter(project__in=projects).order_by()
    if not are_kept():
        is_archived = Q(archived_at__isnull=False)
        return RunCounts(
            **mine.aggregate(shown=Count("pk", filter=~is_archived), archived=Count("pk", filter=is_archived))
        )
    ended = RunSums.objects.filter(project_id__in=projects, facet="")
    return RunCounts(
        **ended.aggregate(
            shown=_counted(mine.filter(archived_at__isnull=True), is_archived=False),
            archived=_counted(mine.filter(archived_at__isnull=False), is_archived=True),
        )
    )


def _counted(runs, is_archived: bool):
    """Return an aggregate over sums: how many of these runs there are, the unfinished ones included."""
    going_on = runs.unfinished().values(one=Value(1)).annotate(number=Count("pk")).values("number")
    return Coalesce(Sum("runs", filter=Q(is_archived=is_archived)), 0) + Coalesce(Subquery(going_on), 0)


def _rows(projects: Sequence[int], filters: RunFilters):
    rows = RunSums.objects.filter(project_id__in=projects)
    if filters.archived != "too":
        rows = rows.filter(is_archived=filters.archived == "only")
    if filters.model:
        project, _, slug = filters.model.partition("/")
        rows = rows.filter(
            tracked_model_id__in=TrackedModel.objects.filter(slug=slug, project__slug=project).values("pk")
        )
    return rows.filter(kind=filters.kind) if filters.kind else rows


def matching_sums(projects: Sequence[int], filters: RunFilters) -> list[tuple]:
    """Return sums over the runs that match, of filters that `know_totals`: whether they are archived, and their number
    and COUNTED; parts of either may come several times."""
    facet, holds = _selected(filters)
    amounts = [Sum(name, default=0.0) for name in COUNTED]
    ended = _rows(projects, filters).filter(facet=facet).order_by().values_list("is_archived", "value")
    is_archived = Case(When(archived_at=None, then=False), default=True, output_field=BooleanField())
    # In one query with the unfinished runs, for which the database has checked the filters.
    going_on = unfinished(projects, filters).order_by().values_list(is_archived, Value(GOING_ON))
    rows = ended.annotate(Sum("runs"), *amounts).union(going_on.annotate(Count("pk"), *amounts), all=True)
    return [(archived, *sums) for archived, value, *sums in rows if sums[0] and (value == GOING_ON or holds(value))]


def _selected(filters: RunFilters):
    """Return the facet that the filter is about, and the condition of its values."""
    if filters.tag:
        return "tags", lambda value: filters.tag in json.loads(value)
    if filters.main_hardware:
        return "hardware", lambda value: filters.main_hardware in json.loads(value)
    if filters.member:
        ids = {str(pk) for pk in member_ids(filters.member)}
        return "member", lambda value: value in ids
    if filters.state:
        return "end", lambda value: value.partition(":")[0] == filters.state
    if filters.exception:
        return "end", lambda value: value.partition(":")[2] == filters.exception
    if asked := asked_items(filters.param):
        ((key, wanted),) = asked.items()
        return f"param:{key}", lambda value: _same(json.loads(value), wanted)
    return "", lambda value: True


def _same(one, other) -> bool:
    """Return whether two values of JSON are equal: in Python, true also equals 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other
