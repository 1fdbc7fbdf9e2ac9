"""Wasted energy: training and evaluation runs without a result, and accelerators held but not used.

Stopped runs (`stopped`) are not waste, and inference runs never are, however they ended: they answered their calls.

Failed, cancelled and idle energy are part of the daily totals, so they need no extra queries. Whether a run is lost is
only known when it is read, so lost runs are added up separately: they are few, and an index finds unfinished runs. All
amounts cover only the selected period, even for runs that started earlier or end later.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from django.db.models import F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Greatest
from django.db.models.lookups import LessThanOrEqual

from runs.figures import units
from runs.figures.lifetime import IDLE, WITHOUT_RESULT
from runs.figures.periods import Period
from runs.models import ProjectUsage, Run, RunUsage
from runs.models.run import RunQuerySet
from runs.selection.run_days import Days, on_days

MOST_WASTED_RUNS = 5
#: For the most idle runs of long periods, runs that started more than this before the period are ignored.
LONGEST_RUN = timedelta(days=31)
#: If more runs than so many began in a period, only MOST_COMPARED are added up, at least LEAST_COMPARED of a project.
MOST_ADDED_UP, MOST_COMPARED, LEAST_COMPARED = 10_000, 200, 40
#: Of up to this many projects the most idle runs are read project by project, as each takes a query of its own.
MOST_MERGED = 10


class WasteRow(NamedTuple):
    """A kind of wasted energy: name, explanation, amount, share of the period's energy, state filter of its runs."""

    name: str
    words: str
    kwh: float
    share: float
    state: str = ""
    #: Whether it is part of the last row above that is not itself a part.
    is_part: bool = False


class WastedRun(NamedTuple):
    """A run with its wasted energy in the period: all of it, or what its accelerators used while idle."""

    run: Run
    kwh: float
    by_idling: bool


def days_of(period: Period) -> Days:
    return Days() if period.preset == "all" else Days(period.first, period.last)


def lost_kwh(runs: RunQuerySet, period: Period, now) -> dict[int, float]:
    """Return what each lost run used in the period, the most first; `runs` are those that match the filters."""
    lost = runs.filter(kind__in=Run.WASTABLE).lost(now).order_by()
    rows = on_days(RunUsage.objects.filter(run__in=lost.values("pk")), days_of(period)).order_by()
    sums = rows.values_list("run").annotate(kwh=Sum("energy_kwh")).filter(kwh__gt=0)
    return dict(sums.order_by("-kwh", "-run"))


def waste(totals: dict[str, float], lost: dict[int, float]) -> list[WasteRow]:
    """Return the rows of waste; `totals` are the period's, `lost` is what lost runs used in it."""
    count = units.counted(len(lost), "run")
    silent = f"training and evaluation runs that stopped sending data, {count}: check their machines"
    parts_kwh = [kwh for kwh in (totals["failed_kwh"], totals["cancelled_kwh"], sum(lost.values())) if kwh]
    together_kwh = sum(parts_kwh) if len(parts_kwh) > 1 else 0.0
    rows = [
        (WITHOUT_RESULT, "training and evaluation runs that did not complete", together_kwh, ""),
        ("Failed runs", "training and evaluation runs that ended with an error", totals["failed_kwh"], "failed"),
        (
            "Cancelled runs",
            "training and evaluation runs that someone interrupted",
            totals["cancelled_kwh"],
            "cancelled",
        ),
        ("Lost runs", silent, sum(lost.values()), "lost"),
        (IDLE, "held by a run, whatever its outcome, but not busy", totals["idle_kwh"], ""),
    ]
    whole_kwh = totals["energy_kwh"]
    return [
        WasteRow(name, words, kwh, kwh / whole_kwh if whole_kwh else 0.0, state, bool(state and together_kwh))
        for name, words, kwh, state in rows
        if kwh
    ]


def most_wasteful(
    run_days: QuerySet, runs: RunQuerySet, period: Period, projects: list[int], totals: dict[str, float]
) -> list[QuerySet]:
    """Return the ids of the runs that wasted the most by failing, being cancelled or idling, read from indexes only.

    `run_days` and `runs` are those that match the filters, of `projects`; `totals` are theirs in the period. For long
    periods, and if many runs began in one, only those with the most energy, or the most idle energy, in all are added
    up: to add up each of a hundred thousand runs for just five would take longer than the rest of the page.
    """
    days = days_of(period)
    found = runs
    if period.first:
        first = datetime.combine(period.first - LONGEST_RUN, time.min, UTC)
        found = runs.filter(started_at__gte=first, started_at__lt=datetime.combine(period.last, time.max, UTC))
    largest = []
    if totals["failed_kwh"] or totals["cancelled_kwh"]:
        ended = found.ended_otherwise().filter(status__in=(Run.Status.FAILED, Run.Status.CANCELLED))
        by_energy = ended.filter(kind__in=Run.WASTABLE).order_by("-energy_kwh", "-pk")
        largest += _first_of_each(by_energy, projects)
    if totals["idle_kwh"]:
        largest += _first_of_each(found.filter(idle_kwh__gt=0).order_by("-idle_kwh", "-pk"), projects)
    if not largest:
        return []
    wasteful = [_most(RunUsage.objects.filter(run__in=Run.objects.in_any(largest)), days)]
    if period.is_long or totals["runs"] > MOST_ADDED_UP:
        return wasteful
    # With a filter, fewer runs match than would be read. How many those are, the database finds out by the way: another
    # query would be one more for each overview.
    begun = on_days(ProjectUsage.objects.filter(project__in=projects), days).order_by()
    number = Subquery(begun.values(one=Value(1)).annotate(number=Sum("runs")).values("number"))
    return [*wasteful, _most(run_days.filter(LessThanOrEqual(number, MOST_ADDED_UP)), days)]


def _first_of_each(runs: RunQuerySet, projects: list[int]) -> list[QuerySet]:
    """Return the ids of the first of these runs, of each project by itself if these are few: an index has the runs of a
    project in their order, and to sort a hundred thousand takes long."""
    pks = runs.values("pk")
    of_each = [pks.filter(project=pk) for pk in projects] if len(projects) <= MOST_MERGED else [pks]
    return [part[: max(MOST_COMPARED // len(of_each), LEAST_COMPARED)] for part in of_each]


def _most(rows: QuerySet, days: Days) -> QuerySet:
    wasted = Greatest(Sum(F("failed_kwh") + F("cancelled_kwh")), Sum("idle_kwh"))
    sums = on_days(rows, days).order_by().values("run").annotate(wasted=wasted)
    return sums.filter(wasted__gt=0).order_by("-wasted", "-run").values("run")[:MOST_WASTED_RUNS]


def with_waste(runs, period: Period):
    """Add to the runs what they wasted in the period: `ended_kwh` by how they ended, `idled_kwh` by idling."""
    own = on_days(RunUsage.objects.filter(run=OuterRef("pk")), days_of(period)).order_by().values("run")
    ended = own.annotate(kwh=Sum(F("failed_kwh") + F("cancelled_kwh"))).values("kwh")
    idle = own.annotate(kwh=Sum("idle_kwh")).values("kwh")
    return runs.annotate(ended_kwh=Coalesce(Subquery(ended), 0.0), idled_kwh=Coalesce(Subquery(idle), 0.0))


def wasted_runs(runs: Iterable[Run], lost: dict[int, float]) -> list[WastedRun]:
    """Return the runs of `with_waste` that wasted the most."""
    found = []
    for run in runs:
        by_end = lost.get(run.pk, run.ended_kwh)  # type: ignore[attr-defined]
        kwh = max(by_end, run.idled_kwh)  # type: ignore[attr-defined]
        found += [WastedRun(run, kwh, not by_end)] if kwh > 0 else []
    return sorted(found, key=lambda row: (-row.kwh, -row.run.pk))[:MOST_WASTED_RUNS]
