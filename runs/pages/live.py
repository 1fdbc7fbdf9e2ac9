"""JSON for a run's open page."""

from django.http import JsonResponse
from django.utils import timezone

from runs.dashboards import live as dashboard
from runs.pages import query
from runs.pages.runs import run_or_404
from runs.templatetags.times import words


def run_series(request, run_id):
    """With `start` and `end` that part of the run; else what came after `since`, with state and key figures."""
    run = run_or_404(request, run_id)
    start_s, end_s = query.asked_number(request, "start"), query.asked_number(request, "end")
    if start_s is not None and end_s is not None:
        return JsonResponse(dashboard.part(run, start_s, end_s))
    found = dashboard.increment(run, max(0.0, query.asked_number(request, "since") or 0.0))
    return JsonResponse(found | {"state": run.state, "seen": words(run.last_seen_at, timezone.now())})
