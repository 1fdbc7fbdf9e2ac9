"""The overview: what a person's projects used and emitted in a period."""

from typing import NamedTuple

from runs.dashboards import usage
from runs.dashboards.charts import Chart
from runs.dashboards.periods import Period
from runs.models import DailyUsage, Run

LATEST_RUNS = 8
MODELS_SHOWN = 10


class Overview(NamedTuple):
    totals: dict
    before: dict | None
    trend: Chart | None
    models: list[dict]
    model_count: int
    latest: list[Run]

    @property
    def is_empty(self) -> bool:
        """No run has ever arrived."""
        return not self.latest


def overview(user, period: Period, quantity: str) -> Overview:
    """Key figures, trend and footprints of a period; `quantity` is `kg` or `kwh`."""
    return overview_of(DailyUsage.objects.for_user(user), Run.objects.for_user(user), period, quantity)


def overview_of(everything, runs, period: Period, quantity: str) -> Overview:
    """The same of any rows of daily usage and the runs that they came from."""
    rows = period.days_of(everything)
    before = period.before()
    models = usage.footprints(rows)
    return Overview(
        totals=usage.totals(rows),
        before=usage.totals(before.days_of(everything)) if before else None,
        trend=usage.trend_by_model(rows, period, quantity, models),
        models=usage.bars(models[:MODELS_SHOWN]),
        model_count=len(models),
        latest=list(latest_runs(runs)),
    )


def latest_runs(runs):
    return runs.newest(LATEST_RUNS)
