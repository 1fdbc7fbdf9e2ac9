from django.http import Http404, HttpResponse
from django.shortcuts import render

from runs.compare import comparison as dashboard
from runs.compare.tables import FORMS, WORDS, table
from runs.models import Run
from runs.selection.compared import MOST_METRICS, MOST_RUNS, names_of
from runs.web import query


def compare(request):
    runs = asked_runs(request)
    axis, shown = asked_curves(request)
    context: dict = {"axis": axis, "shown": shown, "axes": dashboard.AXES, "shown_choices": dashboard.SHOWN}
    context |= {"asked": len(request.GET.getlist("run")), "most": MOST_RUNS}
    context["most_metrics"] = MOST_METRICS
    if runs:
        comparison = dashboard.comparison(runs, asked_base(request, runs), axis, shown)
        context |= {
            "page": comparison,
            "columns": columns(request, comparison),
            "all_params": query.asked(request, "params") == "all",
            "query_string": request.GET.urlencode(),
            "export_forms": WORDS,
        }
    return render(request, "compare/page.html", context)


def compare_export(request, form: str):
    """Download the table of figures as CSV, Markdown or LaTeX."""
    runs = asked_runs(request)
    if form not in FORMS or not runs:
        raise Http404
    axis, shown = asked_curves(request)
    text = table(dashboard.comparison(runs, asked_base(request, runs), axis, shown), form)
    answer = HttpResponse(text, content_type=f"{FORMS[form]}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="comparison.{form}"'
    return answer


def asked_runs(request) -> list[Run]:
    """The first eight runs in the query string that this person may see, in its order."""
    run_ids = query.asked_ids(request, "run")[:MOST_RUNS]
    runs = Run.objects.for_user(request.user).addressed(run_ids)
    runs = runs.select_related("tracked_model__project", "project", "factor").defer("environment", "usage", "notes")
    by_id = {run.run_id: run for run in runs}
    return [by_id[run_id] for run_id in run_ids if run_id in by_id]


def asked_base(request, runs: list[Run]) -> Run:
    asked = query.asked_ids(request, "base")[:1]
    return next((run for run in runs if run.run_id in asked), runs[0])


def asked_curves(request) -> tuple[str, str]:
    axis, shown = query.asked(request, "by"), query.asked(request, "show")
    return axis if axis in dashboard.AXES else "elapsed", shown if shown in dashboard.SHOWN else "power"


def columns(request, comparison: dashboard.Comparison) -> list[tuple[Run, str, str, str]]:
    """Each run with its name and two query strings: one makes it the base, one removes it."""
    found = []
    for run, name in zip(comparison.runs, names_of(comparison.runs), strict=True):
        rest = [str(other.run_id) for other in comparison.runs if other is not run]
        found.append((run, name, query.link(request, base=run.run_id), query.link(request, run=rest)))
    return found
