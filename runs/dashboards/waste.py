"""Energy that came to nothing: trainings and evaluations without a result, and accelerators held but not used.

What was switched off (`stopped`) is no waste, nor is a service, however it ended: it has answered its calls.

Failed, cancelled and idle energy are amounts of the daily totals, so they cost nothing more. Lost is only told when it
is read, so lost runs are added up themselves: they are few, and an index knows those that never finished.
All of it is cut to the period that is looked at, as a run that began earlier or goes on longer is.
"""

from typing import NamedTuple

from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import Greatest

from runs.dashboards.periods import Period
from runs.dashboards.run_days import Days, on_days, ran_in
from runs.dashboards.run_filters import in_state
from runs.models import Run, RunUsage

MOST_WASTED_RUNS = 5


class Waste(NamedTuple):
    """A way to waste energy: what it is in words, how much, its share of the period's energy, what finds its runs."""

    name: str
    words: str
    kwh: float
    share: float
    state: str = ""


class WastedRun(NamedTuple):
    """A run with the energy of the period that came to nothing: all of it, or what its accelerators idled away."""

    run: Run
    kwh: float
    by_idling: bool


def days_of(period: Period) -> Days:
    return Days() if period.preset == "all" else Days(period.first, period.last)


def waste(totals: dict[str, float], runs: QuerySet, period: Period, now) -> list[Waste]:
    """`totals` are the period's; `runs` those that the filters leave."""
    found = _lost(runs, period, now).aggregate(number=Count("run", distinct=True), kwh=Sum("energy_kwh", default=0.0))
    number = found["number"]
    rows = [
        ("Failed runs", "trainings and evaluations that ended with an error", totals["failed_kwh"], "failed"),
        ("Cancelled runs", "trainings and evaluations that somebody interrupted", totals["cancelled_kwh"], "cancelled"),
        (
            "Lost runs",
            f"{number} training{'s' * (number != 1)} or evaluations that fell silent, see whether their machine lives",
            found["kwh"],
            "lost",
        ),
        ("Idle accelerators", "held by a run of any outcome, but not busy", totals["idle_kwh"], ""),
    ]
    whole_kwh = totals["energy_kwh"]
    return [
        Waste(name, words, kwh, kwh / whole_kwh if whole_kwh else 0.0, state) for name, words, kwh, state in rows if kwh
    ]


def _lost(runs: QuerySet, period: Period, now) -> QuerySet:
    """What lost runs used on each day of the period."""
    lost = in_state(runs.filter(kind__in=Run.WASTABLE), Run.LOST, now).order_by()
    return on_days(RunUsage.objects.filter(run__in=lost.values("pk")), days_of(period)).order_by()


def most_wasted(projects: list[int], runs: QuerySet | None, period: Period, now) -> list[WastedRun]:
    """The runs that wasted the most energy in the period, of whatever kind.

    Of the projects whole, or of those of `runs` that filters leave. Which they are an index tells alone.
    """
    rows = ran_in(projects, days_of(period)).order_by()
    rows = rows if runs is None else rows.filter(run__in=runs.values("pk"))
    sums = rows.values("run").annotate(ended=Sum(F("failed_kwh") + F("cancelled_kwh")), idle=Sum("idle_kwh"))
    sums = sums.annotate(wasted=Greatest("ended", "idle")).filter(wasted__gt=0).order_by("-wasted", "-run")
    wasted = {row["run"]: (row["wasted"], not row["ended"]) for row in sums[:MOST_WASTED_RUNS]}
    own = Run.objects.filter(project__in=projects) if runs is None else runs
    lost = _lost(own, period, now).values("run").annotate(kwh=Sum("energy_kwh")).filter(kwh__gt=0)
    wasted |= {row["run"]: (row["kwh"], False) for row in lost.order_by("-kwh", "-run")[:MOST_WASTED_RUNS]}
    most = sorted(wasted.items(), key=lambda item: (-item[1][0], -item[0]))[:MOST_WASTED_RUNS]
    by_pk = Run.objects.with_names().in_bulk([pk for pk, _ in most])
    return [WastedRun(by_pk[pk], kwh, by_idling) for pk, (kwh, by_idling) in most if pk in by_pk]
