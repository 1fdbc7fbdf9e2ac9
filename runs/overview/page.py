"""The overview: what a person's projects used and emitted in a period, after filtering."""

from datetime import datetime
from typing import NamedTuple

from django.db.models import QuerySet

from runs.figures import usage
from runs.figures.charts import Chart
from runs.figures.corrections import Corrections, corrections
from runs.figures.equivalences import Equivalence, equivalences
from runs.figures.periods import Period
from runs.models import Run
from runs.models.run import RunQuerySet
from runs.overview import breakdown
from runs.overview.breakdown import Share
from runs.overview.heat_map import HeatMap, heat_map
from runs.overview.key_figures import Days, KeyFigure, amounts_by_day, key_figures, totals_of, within
from runs.selection.choices import Choices
from runs.selection.usage_filters import (
    UsageFilters,
    corrections_of,
    days_of,
    energy_days_of,
    run_days_of,
    runs_of,
    usage_in,
    usage_of,
)
from runs.selection.waste import (
    MOST_WASTED_RUNS,
    WastedRun,
    WasteRow,
    lost_kwh,
    most_wasteful,
    waste,
    wasted_runs,
    with_waste,
)

MODELS_SHOWN = 10
ACTIVE_SHOWN = 10


class OverviewQuery(NamedTuple):
    """How the overview is shown: `quantity` is `kg` or `kwh`."""

    quantity: str = "kg"
    cumulative: bool = False
    #: The breakdown that is shown with all of its rows.
    whole: str = ""
    #: The unit of a bar: `day`, `week` or `month`; empty for the most readable one.
    bars: str = ""


class Overview(NamedTuple):
    totals: dict[str, float]
    figures: list[KeyFigure]
    equivalences: list[tuple[Equivalence, float]]
    trend: Chart | None
    models: list[dict]
    model_count: int
    splits: list[tuple[str, list[Share]]]
    active: list[Run]
    more_active: bool
    waste: list[WasteRow]
    most_wasted: list[WastedRun]
    heat_map: HeatMap | None
    corrections: Corrections

    @property
    def was_used_before(self) -> bool:
        """Whether there is something to compare changes with."""
        return any(figure.before for figure in self.figures)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was used in the period, and nothing is running."""
        return not (self.totals["runs"] or self.totals["energy_kwh"] or self.active)


def overview(
    found: Choices, filters: UsageFilters, period: Period, look: OverviewQuery, now: datetime, runs_url: str
) -> Overview:
    """Return everything that the page shows of the projects of `found`; days link to what follows `runs_url`."""
    used, runs = usage_of(found, filters), runs_of(found, filters)
    days = amounts_by_day(days_of(found, filters), period)
    sums = breakdown.sums_of(usage_in(found, filters, period))
    models, totals = breakdown.by_model(sums, found), totals_of(days, period)
    lost = lost_kwh(runs, period, now)
    wasteful = most_wasteful(run_days_of(found, filters), runs, period, found.project_ids, totals)
    listed = _listed_runs(runs.running(now), wasteful, lost, period)
    active = active_runs(listed)
    return Overview(
        totals=totals,
        figures=key_figures(days, period, totals, now.date()),
        equivalences=equivalences(totals),
        trend=_trend(period.days_of(used), days, period, look, models, _looks(models, found, look, now)),
        models=usage.bars(models[:MODELS_SHOWN]),
        model_count=len(models),
        splits=_splits(sums, found, look.whole),
        active=active[:ACTIVE_SHOWN],
        more_active=len(active) > ACTIVE_SHOWN,
        waste=waste(totals, lost),
        most_wasted=wasted_runs(listed, lost),
        heat_map=heat_map(energy_days_of(found, filters), now.date(), look.quantity, runs_url),
        corrections=corrections(period.days_of(corrections_of(found, filters))),
    )


def _looks(models: list[dict], found: Choices, look: OverviewQuery, now: datetime) -> dict:
    """Return how the trend is drawn: a model has the same colour in every period and with every filter."""
    shown, everything = [row["tracked_model_id"] for row in models], [row["pk"] for row in found.models]
    return {"colours": usage.colours_of(shown, everything), "bars": look.bars, "today": now.date()}


def _trend(rows, days: Days, period: Period, look: OverviewQuery, models: list[dict], drawn: dict) -> Chart | None:
    _, amount = usage.QUANTITIES[look.quantity]
    whole = {day: amounts[amount] for day, amounts in within(days, period).items()}
    chart = usage.trend_by_model(rows.with_energy(), whole, period, look.quantity, models, **drawn)
    return usage.with_running_sum(chart) if chart and look.cumulative else chart


def _splits(sums: list[dict], found: Choices, whole: str) -> list[tuple[str, list[Share]]]:
    return [
        ("hardware", breakdown.by_hardware(sums, whole == "hardware")),
        ("kind", breakdown.by_kind(sums)),
        ("member", breakdown.by_member(sums, found, whole == "member")),
    ]


def _listed_runs(running: RunQuerySet, wasteful: list[QuerySet], lost: dict[int, float], period: Period) -> list[Run]:
    """Return the runs that are shown as active or may be as wasteful, read together, the last heard first."""
    by_silence = ("-last_seen_at", "-pk")
    # The indexes show which runs these are; asked for whole rows, SQLite uses another one and reads all runs.
    active = running.order_by(*by_silence).values("pk")[: ACTIVE_SHOWN + 1]
    which = [active, *wasteful, *([list(lost)[:MOST_WASTED_RUNS]] if lost else [])]
    found = Run.objects.filter(pk__in=Run.objects.in_any(which))
    return list(with_waste(found, period).with_names().order_by(*by_silence))


def active_runs(runs: list[Run]) -> list[Run]:
    """Return the runs that are running now; silent runs are lost and not included."""
    return [run for run in runs if run.state == Run.Status.RUNNING]
