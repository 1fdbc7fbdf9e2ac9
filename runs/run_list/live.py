"""Live updates of an open run list: current rows, and the number of new runs."""

from django.shortcuts import render

from runs.figures import units
from runs.run_list.page import live_rows as rows_of
from runs.run_list.view import asked_filters, asked_look
from runs.web import query
from runs.web.scope import choices_of

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
