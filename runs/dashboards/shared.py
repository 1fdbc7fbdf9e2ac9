"""What a share link shows of a model or a project: the members' own figures, and nothing that leads on from there.

Without details, names that may say more than the maker meant are taken off the rows before a template sees them.
"""

from datetime import date, datetime

from runs.dashboards import model, overview
from runs.dashboards.periods import period
from runs.models import DailyUsage, Project, Run, TrackedModel


def model_page(shared: TrackedModel, with_details: bool, now: datetime, quantity: str) -> model.ModelPage:
    """A model's page whose points lead nowhere; without details there is no word of what its runs logged."""
    page = model.model_page(shared, now, quantity)
    energies = page.energies and page.energies._replace(leads_on=False)
    if with_details:
        compared = page.tradeoff and page.tradeoff._replace(
            chart=page.tradeoff.chart and page.tradeoff.chart._replace(leads_on=False)
        )
        return page._replace(energies=energies, tradeoff=compared)
    for each in page.energies.points if page.energies else []:
        nameless(each.run)
    return page._replace(energies=energies, tradeoff=None, runs=[nameless(each) for each in page.runs])


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
