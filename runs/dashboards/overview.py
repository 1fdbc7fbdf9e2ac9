"""The overview: what a person's projects used and emitted in a period, narrowed by filters."""

from datetime import UTC, datetime
from typing import NamedTuple

from django.db.models import Q

from hardware.models import HardwareProfile
from runs.dashboards import breakdown, usage
from runs.dashboards.breakdown import Share
from runs.dashboards.charts import Chart
from runs.dashboards.corrections import Corrections, corrections
from runs.dashboards.equivalences import Equivalence, equivalences
from runs.dashboards.heat_map import HeatMap, heat_map
from runs.dashboards.key_figures import Days, KeyFigure, amounts_by_day, key_figures, totals_of, within
from runs.dashboards.periods import Period
from runs.dashboards.usage_filters import (
    Choices,
    UsageFilters,
    corrections_of,
    days_of,
    energy_days_of,
    runs_of,
    usage_of,
)
from runs.dashboards.waste import MOST_IDLE_RUNS, Waste, most_idle, waste
from runs.models import Run

MODELS_SHOWN = 10
ACTIVE_SHOWN = 10


class Look(NamedTuple):
    """How the overview is shown: `quantity` is `kg` or `kwh`."""

    quantity: str = "kg"
    cumulative: bool = False


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
    waste: list[Waste]
    most_idle: list[Run]
    heat_map: HeatMap | None
    corrections: Corrections

    @property
    def was_used_before(self) -> bool:
        """Whether there is anything that changes are told against."""
        return any(figure.before for figure in self.figures)

    @property
    def is_empty(self) -> bool:
        """Nothing was used in the period, and nothing runs."""
        return not (self.totals["runs"] or self.totals["energy_kwh"] or self.active)


def overview(found: Choices, filters: UsageFilters, period: Period, look: Look, now: datetime) -> Overview:
    """Everything that the page shows of the projects of `found`."""
    used, runs = usage_of(found, filters), runs_of(found, filters)
    days = amounts_by_day(days_of(found, filters), period)
    sums = breakdown.sums_of(used, period)
    models, totals = breakdown.by_model(sums, found), totals_of(days, period)
    listed = _listed_runs(runs, period)
    active = [run for run in listed if run.state == Run.Status.RUNNING]
    return Overview(
        totals=totals,
        figures=key_figures(days, period, totals),
        equivalences=equivalences(totals),
        trend=_trend(period.days_of(used), days, period, look, models),
        models=usage.bars(models[:MODELS_SHOWN]),
        model_count=len(models),
        splits=_splits(sums, found),
        active=active[:ACTIVE_SHOWN],
        more_active=len(active) > ACTIVE_SHOWN,
        waste=waste(totals, runs, period, now),
        most_idle=_most_idle(listed, period),
        heat_map=heat_map(energy_days_of(found, filters), now.date(), look.quantity),
        corrections=corrections(period.days_of(corrections_of(found, filters))),
    )


def _trend(rows, days: Days, period: Period, look: Look, models: list[dict]) -> Chart | None:
    _, amount = usage.QUANTITIES[look.quantity]
    whole = {day: amounts[amount] for day, amounts in within(days, period).items()}
    chart = usage.trend_by_model(rows.with_energy(), whole, period, look.quantity, models)
    return usage.with_running_sum(chart) if chart and look.cumulative else chart


def _splits(sums: list[dict], found: Choices) -> list[tuple[str, list[Share]]]:
    slugs = {row["hardware"] for row in sums}
    names = dict(HardwareProfile.objects.filter(slug__in=slugs).values_list("slug", "name"))
    return [
        ("hardware", breakdown.by_hardware(sums, names)),
        ("kind", breakdown.by_kind(sums)),
        ("member", breakdown.by_member(sums, found)),
    ]


def _listed_runs(runs, period: Period) -> list[Run]:
    """The runs that may be shown as active or idle, read at once, the last heard first."""
    by_silence = ("-last_seen_at", "-pk")
    # Which these are indexes tell alone; asked for whole rows, SQLite takes another one and reads all runs.
    unfinished = runs.unfinished().order_by(*by_silence).values("pk")[: 5 * ACTIVE_SHOWN]
    found = Run.objects.filter(Q(pk__in=unfinished) | Q(pk__in=most_idle(runs, period)))
    return list(found.with_names().order_by(*by_silence))


def _most_idle(listed: list[Run], period: Period) -> list[Run]:
    """Those of them whose accelerators idled most, of the runs that began in the period."""
    begun = [run for run in listed if run.idle_kwh > 0 and _began_in(run, period)]
    return sorted(begun, key=lambda run: (-run.idle_kwh, -run.pk))[:MOST_IDLE_RUNS]


def _began_in(run: Run, period: Period) -> bool:
    day = run.started_at.astimezone(UTC).date()
    return day <= period.last and (period.first is None or day >= period.first)
