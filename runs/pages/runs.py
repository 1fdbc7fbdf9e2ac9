from django.http import Http404
from django.shortcuts import render

from runs.dashboards import runs as dashboard
from runs.dashboards.run import run_page
from runs.models import Run
from runs.pages import query


def run_list(request):
    filters = dashboard.RunFilters(
        search=query.asked(request, "q"),
        project=query.asked(request, "project"),
        model=query.asked(request, "model"),
        kind=query.asked(request, "kind"),
        state=query.asked(request, "state"),
        sort=query.asked(request, "sort"),
    )
    context = {
        "list": dashboard.run_list(request.user, filters, query.asked(request, "page")),
        "choices": dashboard.choices(request.user),
        "filters": filters,
    }
    return render(request, "runs/list.html", context)


def run_detail(request, run_id):
    run = visible_run(request.user, run_id)
    place = run.project.team.membership_set.filter(user=request.user).first()
    return render(request, "runs/detail.html", {"page": run_page(run), "run": run, "place": place})


def visible_run(user, run_id) -> Run:
    """The run of this id that the person may see. Raises Http404."""
    runs = Run.objects.for_user(user).with_names().select_related("factor")
    # Ids are unique in a project only: of two projects of this person that hold the same one, the older keeps it.
    run = runs.filter(run_id=run_id).order_by("received_at").first()
    if run is None:
        raise Http404
    return run
