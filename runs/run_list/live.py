"""Live updates of an open run list: current rows, and the number of new runs."""

from django.shortcuts import render

from runs.figures import units
from runs.run_list.columns import UNITS
from runs.run_list.page import live_rows as rows_of
from runs.run_list.view import asked_filters, asked_look, table_of
from runs.web import query
from runs.web.scope import choices_of

#: What a list sends besides its query string: its runs that are still running, its units, and how many runs it knows.
OWN = ("run", "known", *UNITS)


def live_rows(request):
    """Return the rows of these runs as the list shows them, the totals of all matches, and how many more match now."""
    look, filters = asked_look(request), asked_filters(request)
    found = rows_of(choices_of(request), filters, look, query.asked_ids(request, "run"))
    asked = request.GET.copy()
    for name in OWN:
        asked.pop(name, None)
    shown = {name: units.named(quantity, query.asked(request, name)) for name, (quantity, _) in UNITS.items()}
    # Of runs that nobody counted, nobody knows how many are new.
    known = int(query.asked_number(request, "known") or 0)
    more = 0 if found.totals.is_least else found.totals.runs - known
    context = table_of(found, look, asked, shown) | {"filters": filters, "more": more}
    return render(request, "run_list/live.html", context)
