"""Models: their list, a model's page, its notes, and its deletion."""

from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from runs.ingest.trash import WAY_BACK, trash_model
from runs.model_page import list as models
from runs.model_page.page import model_page
from runs.model_page.points import PointsQuery
from runs.models import Right
from runs.selection.metric_columns import VALUES
from runs.web import query
from runs.web.access import model_or_404, require
from runs.web.notes import edit_notes
from runs.web.scope import choices_of, of_a_team, scope_of

#: The sort orders in the form; a click on a column's head reverses the order.
SORTS = {"-emissions": "CO₂e", "-energy": "Energy", "-runs": "Runs", "-used": "Last run", "name": "Name"}


@of_a_team
def model_list(request):
    search, sort = query.asked(request, "q"), query.asked(request, "sort")
    if sort.removeprefix("-") not in models.SORTS:
        sort = models.DEFAULT_SORT
    found = models.model_list(choices_of(request), search, sort, query.asked(request, "page"))
    context = {
        "list": found,
        "page": found.page,
        "models": found.page.object_list,
        "search": search,
        "sort": sort,
        "sorts": SORTS if sort in SORTS else SORTS | {sort: "as chosen"},
    }
    return render(request, "model_page/list.html", context)


def model_detail(request, project, slug):
    model, quantity = model_or_404(request, project, slug), query.quantity(request)
    asked = PointsQuery(*(query.asked(request, name) for name in PointsQuery._fields))
    context = {
        "model": model,
        "page": model_page(model, timezone.now(), quantity, asked),
        "quantity": quantity,
        "values": VALUES,
        "place": scope_of(request).place_in(model.project.team_id),
    }
    return render(request, "model_page/page.html", context)


@require_http_methods(["GET", "POST"])
def model_notes(request, project, slug):
    return edit_notes(request, model_or_404(request, project, slug), reverse("model_detail", args=[project, slug]))


@require_http_methods(["GET", "POST"])
def delete_model(request, project, slug):
    """Ask for confirmation, then move the model with its runs to the trash."""
    model = model_or_404(request, project, slug)
    require(request, Right.CHANGE_RUNS, model.project_id)
    if request.method == "POST":
        trash_model(model, request)
        messages.success(request, f"The model {model} is deleted with its runs. {WAY_BACK}")
        return redirect("model_list")
    return render(request, "model_page/delete.html", {"model": model, "runs": model.run_set.count()})
