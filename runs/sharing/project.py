"""The shared page of a project: the figures that members see, without links to other pages.

Unless shared with details, run names and exceptions are removed before a template sees the rows.
"""

from datetime import date
from typing import NamedTuple

from django.shortcuts import render
from django.utils import timezone

from runs.figures import usage
from runs.figures.charts import Chart
from runs.figures.corrections import Corrections, corrections
from runs.figures.periods import period
from runs.models import Correction, DailyUsage, EmissionFactor, MonthlyUsage, Project, ProjectUsage, Run, ShareLink
from runs.web import query

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


def shared_project(request, link: ShareLink):
    """The project for anyone who has the link."""
    quantity = query.quantity(request)
    page = project_page(link.project, link.with_details, timezone.now().date(), quantity)
    return render(request, "sharing/project.html", {"link": link, "shared": True, "page": page, "quantity": quantity})


def project_page(shared: Project, with_details: bool, today: date, quantity: str) -> ProjectPage:
    """The page over the whole life of a project."""
    days, months = DailyUsage.objects.filter(project=shared), MonthlyUsage.objects.filter(project=shared)
    found, latest = usage.footprints(months), list(Run.objects.filter(project=shared).newest(LATEST_RUNS))
    return ProjectPage(
        totals=usage.totals(months),
        trend=usage.trend_by_model(days, _by_day(shared, quantity), period("all", today), quantity, found, today=today),
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
    """A run without its name and exception, for a list; never saved."""
    listed.name, listed.exception = "", ""
    return listed
