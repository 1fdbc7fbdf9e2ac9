"""Models: the footprint of their whole life."""

from datetime import date
from typing import NamedTuple

from django.core.paginator import Page, Paginator

from runs.dashboards import usage
from runs.dashboards.charts import Chart
from runs.dashboards.periods import period
from runs.models import DailyUsage, Run, TrackedModel

PAGE_SIZE = 50
RUNS_SHOWN = 20


class ModelPage(NamedTuple):
    totals: dict
    footprint: dict | None
    growth: Chart | None
    runs: list[Run]


def footprints(user, search: str, page: int | str) -> Page:
    """A page of the models that this person may see, the largest emissions first."""
    rows = DailyUsage.objects.for_user(user)
    if search:
        rows = rows.filter(tracked_model__name__icontains=search)
    return Paginator(usage.bars(usage.footprints(rows)), PAGE_SIZE).get_page(page)


def model_page(model: TrackedModel, today: date, quantity: str) -> ModelPage:
    """A model's whole life: totals, its parts, how it grew, its latest runs; `quantity` is `kg` or `kwh`."""
    rows = DailyUsage.objects.filter(tracked_model=model)
    trend = usage.trend_by_part(rows, period("all", today), quantity)
    footprint = usage.bars(usage.footprints(rows))
    return ModelPage(
        totals=usage.totals(rows),
        footprint=footprint[0] if footprint else None,
        growth=usage.cumulative(trend) if trend else None,
        runs=list(Run.objects.filter(tracked_model=model).newest(RUNS_SHOWN)),
    )
