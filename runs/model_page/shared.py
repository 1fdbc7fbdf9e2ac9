"""What a share link shows of a model: the same figures as for members, without any links.

Without details, names that may reveal too much are removed from the rows before a template sees them.
"""

from datetime import datetime

from django.shortcuts import render
from django.utils import timezone

from runs.figures.run_links import RunLink
from runs.model_page.page import ModelPage, model_page
from runs.model_page.points import Points
from runs.models import EmissionFactor, Run, ShareLink, TrackedModel
from runs.web import query


def shared_model(request, link: ShareLink):
    """Show the model to anyone who has the link."""
    quantity, model = query.quantity(request), TrackedModel.objects.get(sharelink=link)
    context = {
        "link": link,
        "shared": True,
        "page": page_for_strangers(model, link.with_details, timezone.now(), quantity),
        "model": model,
        "quantity": quantity,
        "factors": EmissionFactor.objects.used_by(Run.objects.filter(tracked_model=model)),
    }
    return render(request, "model_page/shared.html", context)


def page_for_strangers(shared: TrackedModel, with_details: bool, now: datetime, quantity: str) -> ModelPage:
    """Return a model's page whose points have no links; without details, it shows nothing that its runs logged."""
    page = model_page(shared, now, quantity, with_logged=with_details)
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


def _nameless_line(line: RunLink) -> RunLink:
    return line._replace(name="", exception="")
