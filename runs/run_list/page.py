"""The run list: filtered and sorted, with its columns and the totals of all matches."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import fsum
from typing import NamedTuple

from django.core.paginator import Page
from django.db.models import BigIntegerField, Exists, OuterRef, Q
from django.db.models.functions import Cast

from runs.models import Device, Run, RunUsage
from runs.models.device import ACCELERATORS, called, in_words
from runs.run_list.columns import DEFAULT, ListedRun
from runs.run_list.order import DEFAULT_SORT, OF_DAYS, PAGE_SIZE, page_by_use, page_of, page_of_few
from runs.selection import finding, kept_sums, metric_columns
from runs.selection.choices import Choices
from runs.selection.groups import MOST_GROUPS, OVERLAPPING, Group, Spread, grouped, kept_groups
from runs.selection.kept_sums import RunCounts
from runs.selection.metric_columns import MetricColumn
from runs.selection.run_days import Used, on_days, used_of, with_used
from runs.selection.run_filters import RunFilters, matching, undated
from runs.selection.run_totals import (
    MANY,
    NOTHING,
    ListTotals,
    bounded_totals_of,
    bounded_totals_on_days,
    kept_totals,
    kept_totals_on_days,
    together,
    totals_of,
    totals_of_used,
)

MOST_PARAMS = 6
#: Totals of the matching runs that are not archived, and of those that are, if sums are kept of them.
Known = tuple[ListTotals, ListTotals] | None
#: States of runs that have not ended, which one index holds.
UNFINISHED = (Run.Status.RUNNING, Run.LOST)
#: Up to this many runs of selected days, a page is looked up in all of them at once.
MOST_AT_ONCE = 100_000
#: No list that is looked up at once has so many rows of runs and days.
MOST_ROWS = 100 * MOST_AT_ONCE
#: The fields of a run that a line of the list shows.
SHOWN = ["run_id", "name", "kind", "tags", "status", "exception", "last_seen_at", "upload_interval_s", "archived_at"]
SHOWN += [
    "params",
    "started_at",
    "duration_s",
    "energy_kwh",
    "measured_kwh",
    "modelled_kwh",
    "emissions_kg",
    "idle_kwh",
    "member_id",
]
SHOWN += ["tracked_model__name", "project__name"]


class ListLayout(NamedTuple):
    """How a list is shown: order, columns, grouping, and the group or run that others are compared with."""

    sort: str = ""
    columns: Sequence[str] = DEFAULT
    params: tuple[str, ...] = ()
    metrics: tuple[MetricColumn, ...] = ()
    group: str = ""
    against: str = ""
    base: Run | None = None

    @property
    def value(self) -> str:
        """Which value of its metrics it shows."""
        return self.metrics[0].value if self.metrics else "last"

    @property
    def metric_names(self) -> list[str]:
        return [column.name for column in self.metrics]


class RunList(NamedTuple):
    """Rows or groups, the totals of all runs that match, and the number of runs without any filter.

    If days were selected (`of_days`), the totals are what was used on these; otherwise they cover the whole runs.
    `archived` are matches that are left out because they are archived.
    """

    totals: ListTotals
    count_of_all: int
    of_days: bool = False
    archived: ListTotals | None = None
    rows: list[ListedRun] = []
    groups: list[Group] = []
    group_count: int = 0
    page: Page | None = None
    #: The most frequent parameters of these runs, offered as columns.
    params: list[str] = []
    metrics: list[str] = []

    @property
    def group_energies(self) -> list[Spread]:
        return [group.energy for group in self.groups]

    @property
    def group_emissions(self) -> list[Spread]:
        return [group.emissions for group in self.groups]


def run_list(found: Choices, filters: RunFilters, look: ListLayout, page: int | str) -> RunList:
    """Return a page of the runs of these projects, with count, energy and emissions of all matches."""
    projects, runs = _matching(found, filters)
    known = kept_totals(projects, filters) if kept_sums.know_totals(filters) else None
    in_all = kept_sums.runs_in_all(found.project_ids) if filters.is_set else None
    archived = _archived(found, filters, known, in_all)
    if look.group:
        groups = _groups(runs, projects, found, filters, look)
        is_sum = not filters.days.are_set and look.group not in OVERLAPPING
        totals = _totals_of_groups(groups) if is_sum else _totals(runs, projects, found, filters, known, archived)
        newest = page_of(runs, projects, DEFAULT_SORT, 1, totals)
        logged = Run.objects.filter(pk__in=list(newest.object_list)).values_list("params", flat=True)
        shown = {"groups": groups[:MOST_GROUPS], "group_count": len(groups), "params": most_common(logged)}
        return _list(filters, totals, archived, in_all, **shown)
    if filters.days.are_set:
        totals = _totals_of_days(projects, found, filters, archived)
        current = _page_of_days(projects, found, filters, look, page, totals)
    elif filters._replace(project="", archived="").is_set:
        current, totals = _page_of_matches(runs, projects, found, filters, look, page, known)
    else:
        totals = _totals(runs, projects, found, filters, known, archived)
        current = page_of(runs, projects, look.sort, page, totals, look.metrics)
    pks = list(current.object_list)
    found_rows, metrics = rows(pks, found, filters, look), metric_columns.names_logged(pks)
    params = most_common(row.run.params for row in found_rows)
    return _list(filters, totals, archived, in_all, rows=found_rows, page=current, params=params, metrics=metrics)


def _groups(runs, projects: list[int], found: Choices, filters: RunFilters, look: ListLayout) -> list[Group]:
    """Return the groups of the matching runs, from the sums that are kept if these know the filters."""
    if kept_sums.know_groups(filters):
        kept = kept_groups(projects, filters, look.group)
        return grouped(kept_sums.unfinished(projects, filters), look.group, found, look.against, kept)
    narrowest = None if filters.days.are_set else finding.narrowest(projects, filters, found.members)
    if narrowest and narrowest.number is not None:
        runs = _among(narrowest.pks, projects, found, filters)
    return grouped(runs, look.group, found, look.against)


def _among(pks, projects: list[int], found: Choices, filters: RunFilters):
    """Return the matching runs among these ids.

    The project is written so that no index can have it: SQLite would read all runs of a single project instead.
    """
    runs = Run.objects.filter(pk__in=pks).alias(of=Cast("project_id", BigIntegerField())).filter(of__in=projects)
    return matching(runs, filters._replace(project=""), found.members)


def _page_of_matches(
    runs, projects: list[int], found: Choices, filters: RunFilters, look: ListLayout, number, known: Known
) -> tuple[Page, ListTotals]:
    """Return a page of the matching runs and their totals: of few by looking them up, of many by walking in order."""
    if filters.state in UNFINISHED:
        return page_of_few(runs, [], look.sort, number, look.metrics)
    narrowest = finding.narrowest(projects, filters, found.members)
    if narrowest and narrowest.number is not None:
        return page_of_few(_among(narrowest.pks, projects, found, filters), [], look.sort, number, look.metrics)
    is_many = narrowest and narrowest.whole and not known
    totals = MANY if is_many else _totals(runs, projects, found, filters, known, None)
    return page_of(runs, projects, look.sort, number, totals, look.metrics), totals


def _totals_of_days(
    projects: list[int], found: Choices, filters: RunFilters, archived: ListTotals | None
) -> ListTotals:
    """Return what the matching runs used on the days of the filters."""
    kept = kept_totals_on_days(found, filters, archived)
    return kept or bounded_totals_on_days(_run_days(projects, found, filters))


def _page_of_days(
    projects: list[int], found: Choices, filters: RunFilters, look: ListLayout, number, totals: ListTotals
) -> Page:
    """Return a page of the runs of some days."""
    days = _run_days(projects, found, filters)
    if OF_DAYS in look.sort:
        return page_by_use(days, look.sort, number, totals)
    if totals.runs > MOST_AT_ONCE or not (totals.has_sums or filters.days.are_few):
        # With this many matches, the page is soon complete when all runs are read in order from the first one.
        runs = matching(Run.objects.filter(project__in=projects), filters, found.members)
        return page_of(runs, projects, look.sort, number, totals, look.metrics)
    # With a limit, however high, PostgreSQL first finds these runs; without, it would check all from the newest one on.
    runs = Run.objects.filter(pk__in=days.order_by().values("run")[:MOST_ROWS])
    return page_of(runs, [], look.sort, number, totals, look.metrics)


def _run_days(projects: list[int], found: Choices, filters: RunFilters):
    """Return what the matching runs used on the days of the filters, one row per run and day.

    The few archived runs are looked up instead; otherwise all others would be.
    """
    days = on_days(RunUsage.objects.filter(project__in=projects), filters.days)
    of_these = Run.objects.filter(project__in=projects)
    if filters.archived != "too":
        archived = of_these.filter(archived_at__isnull=False).values("pk")
        days = days.filter(run__in=archived) if filters.archived == "only" else days.exclude(run__in=archived)
    others = filters._replace(project="", archived="too", since=None, until=None)
    if others._replace(archived="").is_set:
        matched = undated(of_these, others, found.members).order_by()
        # For a few days each run is looked up, for many days the runs are listed first: the other way round takes
        # seconds.
        few = Exists(matched.filter(pk=OuterRef("run"), project=OuterRef("project")))
        days = days.filter(few if filters.days.are_few else Q(run__in=matched.values("pk")))
    return days


def live_rows(found: Choices, filters: RunFilters, look: ListLayout, run_ids: list) -> RunList:
    """Return these runs as an open list shows them, with the current totals of all matches."""
    projects, runs = _matching(found, filters)
    addressed = Run.objects.filter(project__in=found.project_ids).addressed(run_ids[:PAGE_SIZE])
    shown = rows(list(addressed.values_list("pk", flat=True)), found, filters, look)
    known = kept_totals(projects, filters) if kept_sums.know_totals(filters) else None
    in_all = kept_sums.runs_in_all(found.project_ids) if filters.is_set else None
    archived = _archived(found, filters, known, in_all)
    totals = _totals(runs, projects, found, filters, known, archived)
    return _list(filters, totals, archived, in_all, rows=shown)


def _matching(found: Choices, filters: RunFilters):
    """Return the projects that pass the filters, and their runs that match."""
    asked = set(filter(None, (filters.project, filters.model.partition("/")[0])))
    projects = [pk for pk, slug in found.slugs.items() if asked <= {slug}]
    return projects, matching(Run.objects.filter(project__in=projects), filters, found.members)


def _totals(
    runs, projects: list[int], found: Choices, filters: RunFilters, known: Known, archived: ListTotals | None
) -> ListTotals:
    if filters.days.are_set:
        return _totals_of_days(projects, found, filters, archived)
    if not known:
        return bounded_totals_of(runs)
    shown, hidden = known
    return together(shown, hidden) if filters.archived == "too" else hidden if filters.archived else shown


def _totals_of_groups(groups: list[Group]) -> ListTotals:
    return ListTotals(
        runs=sum(group.runs for group in groups),
        energy_kwh=fsum(group.energy.sum for group in groups),
        emissions_kg=fsum(group.emissions.sum for group in groups),
    )


def _list(
    filters: RunFilters, totals: ListTotals, archived: ListTotals | None, in_all: RunCounts | None, **shown
) -> RunList:
    return RunList(totals, in_all.shown if in_all else totals.runs, filters.days.are_set, archived, **shown)


def _archived(found: Choices, filters: RunFilters, known: Known, in_all: RunCounts | None) -> ListTotals | None:
    """Return the totals of matching archived runs, if the list leaves them out."""
    if filters.archived:
        return None
    if known:
        return known[1]
    if in_all and not in_all.archived:
        return NOTHING
    _, runs = _matching(found, filters._replace(archived="only"))
    return totals_of_used(with_used(runs, filters.days)) if filters.days.are_set else totals_of(runs)


def rows(pks: list[int], found: Choices, filters: RunFilters, look: ListLayout) -> list[ListedRun]:
    """Return the rows of these runs, in order. Ids come from an index; wide rows are only read for shown runs."""
    runs = Run.objects.select_related("tracked_model", "project")
    by_pk = (with_used(runs.only(*SHOWN), filters.days) if filters.days.are_set else runs.only(*SHOWN)).in_bulk(pks)
    hardware = hardware_of(pks) if "hardware" in look.columns else {}
    logged = metric_columns.values_of(pks, list(look.metrics))
    projects = {row["project_id"]: found.project_name(row) for row in found.models}
    return [
        ListedRun(
            run=run,
            hardware=hardware.get(pk, ""),
            member=found.members.name_of(run.member_id),
            project=projects[run.project_id],
            metrics={name: logged.get((pk, name)) for name in look.metric_names},
            base=look.base if look.base and look.base.pk != pk else None,
            used=used_of(run) if filters.days.are_set else Used(),
        )
        for pk in pks
        if (run := by_pk.get(pk))
    ]


def most_common(names: Iterable[Iterable[str]]) -> list[str]:
    """Return the names that most of these runs have, the most frequent first."""
    counts = Counter(name for of_run in names for name in of_run)
    return sorted(counts, key=lambda name: (-counts[name], name))[: metric_columns.MOST_OFFERED]


def hardware_of(pks) -> dict[object, str]:
    """Describe what each run ran on: its accelerators, or else its processors, `4 × NVIDIA A100`."""
    devices = Device.objects.filter(run__in=pks, counted=True).exclude(kind=Device.Kind.RAM)
    counts: dict[object, dict[bool, Counter]] = defaultdict(lambda: defaultdict(Counter))
    rows = devices.order_by("kind", "key").values_list("run", "kind", "name", "profile__name", "profile__fallback")
    for run, kind, name, profile, is_generic in rows:
        counts[run][kind in ACCELERATORS][called(name, profile, is_generic)] += 1
    return {run: in_words(by_kind.get(True) or by_kind[False]) for run, by_kind in counts.items()}
