"""What a share link shows of a model or a project: the members' own figures, and nothing that leads on from there.

Without details, names that may say more than the maker meant are taken off the rows before a template sees them.
"""

from datetime import date

from runs.dashboards import models, overview
from runs.dashboards.periods import period
from runs.models import DailyUsage, Project, Run, TrackedModel


def model_page(shared: TrackedModel, with_details: bool, today: date, quantity: str) -> models.ModelPage:
    page = models.model_page(shared, today, quantity)
    return page if with_details else page._replace(runs=[nameless(each) for each in page.runs])


def project_page(shared: Project, with_details: bool, today: date, quantity: str) -> overview.Overview:
    """The whole life of a project: the overview of its own usage and runs alone."""
    usage = DailyUsage.objects.filter(project=shared)
    runs = Run.objects.filter(project=shared)
    page = overview.overview_of(usage, runs, period("all", today), quantity)
    return page if with_details else page._replace(latest=[nameless(each) for each in page.latest])


def nameless(listed: Run) -> Run:
    """A row of a list without what its author called it and without what it failed of; never saved."""
    listed.name, listed.exception = "", ""
    return listed
