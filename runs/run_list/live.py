"""What open pages ask for while runs go on: JSON for a run's page, rows for a list."""

from django.http import JsonResponse
from django.shortcuts import render
from django.utils import timezone

from runs.run_list.page import live_rows as rows_of
from runs.run_list.view import asked_filters, asked_look, run_or_404
from runs.run_page import live as dashboard
from runs.templatetags import units
from runs.templatetags.times import words
from runs.web import query
from runs.web.scope import choices_of


def run_series(request, run_id):
    """With `start` and `end` that part of the run; else what came after `since`, with state and key figures."""
    run = run_or_404(request, run_id)
    start_s, end_s = query.asked_number(request, "start"), query.asked_number(request, "end")
    if start_s is not None and end_s is not None:
        return JsonResponse(dashboard.part(run, start_s, end_s))
    found = dashboard.increment(run, max(0.0, query.asked_number(request, "since") or 0.0))
    return JsonResponse(found | {"state": run.state, "seen": words(run.last_seen_at, timezone.now())})


#: What a list tells beside its query string: which of its runs still run, its units, how many runs it knows.
OWN = ("run", "kwh", "kg", "used_kwh", "used_kg", "known")


def live_rows(request):
    """The rows of these runs as the list shows them, the totals of all that match, and how many more match by now."""
    look, filters = asked_look(request), asked_filters(request)
    found = rows_of(choices_of(request), filters, look, query.asked_ids(request, "run"))
    asked = request.GET.copy()
    for name in OWN:
        asked.pop(name, None)
    context = {
        "list": found,
        "filters": filters,
        "look": look,
        "asked": asked,
        "more": found.totals.runs - int(query.asked_number(request, "known") or 0),
        "kwh": units.named("energy", query.asked(request, "kwh")),
        "kg": units.named("emissions", query.asked(request, "kg")),
        "used_kwh": units.named("energy", query.asked(request, "used_kwh")),
        "used_kg": units.named("emissions", query.asked(request, "used_kg")),
        "percent": units.named("share", "%"),
    }
    return render(request, "run_list/live.html", context)
