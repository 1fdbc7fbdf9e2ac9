"""What a share link shows of a model or a project: the members' own figures, and nothing that leads on from there.

Without details, names that may say more than the maker meant are taken off the rows before a template sees them.
"""

from datetime import date, datetime
from typing import NamedTuple

from runs.figures import usage
from runs.figures.charts import Chart
from runs.figures.corrections import Corrections, corrections
from runs.figures.periods import period
from runs.figures.run_links import Line
from runs.model_page import page as model
from runs.model_page.points import Points
from runs.models import Correction, DailyUsage, EmissionFactor, Project, ProjectUsage, Run, TrackedModel

MODELS_SHOWN = 10
LATEST_RUNS = 8


class ProjectPage(NamedTuple):
    totals: dict[str, float]
    trend: Chart | None
    models: list[dict]
    model_count: int
    latest: list[Run]
    factors: list[EmissionFactor]
    corrections: Corrections


def model_page(shared: TrackedModel, with_details: bool, now: datetime, quantity: str) -> model.ModelPage:
    """A model's page whose points lead nowhere; without details there is no word of what its runs logged."""
    page = model.model_page(shared, now, quantity, with_logged=with_details)
    page = page._replace(energies=_for_strangers(page.energies, with_details))
    if not with_details:
        finals, latest = ([*map(_nameless_line, lines)] for lines in (page.finals, page.runs))
        return page._replace(finals=finals, tradeoff=None, runs=latest)
    compared = page.tradeoff and page.tradeoff._replace(chart=_for_strangers(page.tradeoff.chart, with_details))
    return page._replace(tradeoff=compared)


def _for_strangers(chart: Points | None, with_details: bool) -> Points | None:
    if chart is None or with_details:
        return chart and chart._replace(leads_on=False)
    points = [point._replace(run=_nameless_line(point.run)) for point in chart.points]
    return chart._replace(leads_on=False, points=points)


def _nameless_line(line: Line) -> Line:
    return line._replace(name="", exception="")


def project_page(shared: Project, with_details: bool, today: date, quantity: str) -> ProjectPage:
    """The whole life of a project."""
    rows = DailyUsage.objects.filter(project=shared)
    found, latest = usage.footprints(rows), list(Run.objects.filter(project=shared).newest(LATEST_RUNS))
    return ProjectPage(
        totals=usage.totals(rows),
        trend=usage.trend_by_model(rows, _by_day(shared, quantity), period("all", today), quantity, found, today=today),
        models=usage.bars(found[:MODELS_SHOWN]),
        model_count=len(found),
        latest=latest if with_details else [nameless(each) for each in latest],
        factors=EmissionFactor.objects.used_by(Run.objects.filter(project=shared)),
        corrections=corrections(Correction.objects.filter(project=shared)),
    )


def _by_day(shared: Project, quantity: str) -> dict[date, float]:
    _, amount = usage.QUANTITIES[quantity]
    return dict(ProjectUsage.objects.filter(project=shared).values_list("day", amount))


def nameless(listed: Run) -> Run:
    """A row of a list without what its author called it and without what it failed of; never saved."""
    listed.name, listed.exception = "", ""
    return listed
