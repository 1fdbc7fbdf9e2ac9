"""What a share link shows of a model or a project: the members' own figures, and nothing that leads on from there.

Without details, names that may say more than the maker meant are taken off the rows before a template sees them.
"""

from datetime import date
from typing import NamedTuple

from runs.dashboards import models, usage
from runs.dashboards.charts import Chart
from runs.dashboards.periods import period
from runs.models import DailyUsage, Project, Run, TrackedModel

MODELS_SHOWN = 10
LATEST_RUNS = 8


class ProjectPage(NamedTuple):
    totals: dict[str, float]
    trend: Chart | None
    models: list[dict]
    model_count: int
    latest: list[Run]


def model_page(shared: TrackedModel, with_details: bool, today: date, quantity: str) -> models.ModelPage:
    page = models.model_page(shared, today, quantity)
    return page if with_details else page._replace(runs=[nameless(each) for each in page.runs])


def project_page(shared: Project, with_details: bool, today: date, quantity: str) -> ProjectPage:
    """The whole life of a project."""
    rows = DailyUsage.objects.filter(project=shared)
    found, latest = usage.footprints(rows), list(Run.objects.filter(project=shared).newest(LATEST_RUNS))
    return ProjectPage(
        totals=usage.totals(rows),
        trend=usage.trend_by_model(rows, period("all", today), quantity, found),
        models=usage.bars(found[:MODELS_SHOWN]),
        model_count=len(found),
        latest=latest if with_details else [nameless(each) for each in latest],
    )


def nameless(listed: Run) -> Run:
    """A row of a list without what its author called it and without what it failed of; never saved."""
    listed.name, listed.exception = "", ""
    return listed
