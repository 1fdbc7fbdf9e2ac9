"""Energy that came to nothing: trainings and evaluations without a result, and accelerators held but not used.

What was switched off (`stopped`) is no waste, nor is a service, however it ended: it has answered its calls.

Failed, cancelled and idle energy are amounts of the daily totals, so they cost nothing more. Lost is only told when it
is read, so lost runs are added up themselves: they are few, and an index knows those that never finished.
"""

from typing import NamedTuple

from django.db.models import Count, Sum

from runs.dashboards.lifetime import IDLE, WITHOUT_RESULT
from runs.dashboards.periods import Period
from runs.dashboards.run_filters import in_state
from runs.dashboards.usage_filters import begun_in
from runs.models import Run

MOST_IDLE_RUNS = 3


class Waste(NamedTuple):
    """A way to waste energy: what it is in words, how much, its share of the period's energy, what finds its runs."""

    name: str
    words: str
    kwh: float
    share: float
    state: str = ""
    #: Whether the row above that has no part holds it.
    is_part: bool = False


def waste(totals: dict[str, float], runs, period: Period, now) -> list[Waste]:
    """`totals` are the period's; `runs` those that the filters leave."""
    wastable = runs.filter(kind__in=Run.WASTABLE)
    lost = begun_in(in_state(wastable, Run.LOST, now), period.first, period.last).order_by()
    found = lost.aggregate(number=Count("pk"), kwh=Sum("energy_kwh", default=0.0))
    parts_kwh = [kwh for kwh in (totals["failed_kwh"], totals["cancelled_kwh"], found["kwh"]) if kwh]
    together_kwh = sum(parts_kwh) if len(parts_kwh) > 1 else 0.0
    rows = [
        (WITHOUT_RESULT, "trainings and evaluations that did not complete", together_kwh, ""),
        ("Failed runs", "trainings and evaluations that ended with an error", totals["failed_kwh"], "failed"),
        ("Cancelled runs", "trainings and evaluations that somebody interrupted", totals["cancelled_kwh"], "cancelled"),
        (
            "Lost runs",
            f"trainings and evaluations that fell silent: {found['number']} began in this period",
            found["kwh"],
            "lost",
        ),
        (IDLE, "held by a run of any outcome, but not busy", totals["idle_kwh"], ""),
    ]
    whole_kwh = totals["energy_kwh"]
    return [
        Waste(name, words, kwh, kwh / whole_kwh if whole_kwh else 0.0, state, bool(state and together_kwh))
        for name, words, kwh, state in rows
        if kwh
    ]


def most_idle(runs, period: Period):
    """Which runs' accelerators idled most: ids, told by an index alone."""
    found = begun_in(runs, period.first, period.last).filter(idle_kwh__gt=0).order_by("-idle_kwh", "-pk")
    return found.values("pk")[:MOST_IDLE_RUNS]
