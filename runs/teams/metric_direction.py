"""Whether lower or higher values of a metric are better, chosen by a team for its project."""

from django.core.exceptions import BadRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from runs.models import Metric, MetricDirection, Right
from runs.web import query
from runs.web.access import project_or_404, require
from runs.web.forms import posts

BETTER = {"lower": True, "higher": False}


@posts("run_list")
def metric_direction(request, project):
    """Save the choice for all pages and files, then return to the page where it was made."""
    found = project_or_404(request, project)
    require(request, Right.CHANGE_RUNS, found.pk)
    better, name = request.POST.get("better"), query.clean(request.POST.get("metric", ""), "metric")
    if better not in BETTER:
        raise BadRequest("The parameter better must be lower or higher.")
    if not Metric.objects.filter(project=found, name=name).exists():
        raise BadRequest("No run of this project logged this metric.")
    MetricDirection.objects.update_or_create(project=found, name=name, defaults={"lower": BETTER[better]})
    return redirect(_back(request))


def _back(request) -> str:
    """The page with the form, or the run list where `back` is not a page of this portal."""
    back = request.POST.get("back", "")
    is_own = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return f"{back}#{request.POST.get('at', '')[:40]}" if is_own else reverse("run_list")
