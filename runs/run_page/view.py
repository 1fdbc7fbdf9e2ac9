"""Views of a run: its page, shared page, live updates, recalculation and deletion."""

from django.contrib import messages
from django.http import JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from runs.figures import times
from runs.figures.charts import Chart
from runs.ingest.trash import WAY_BACK, trash_run
from runs.jobs import reestimate
from runs.models import Right, Run, ShareLink
from runs.run_page import live
from runs.run_page.outlook import MOST_PLANNED
from runs.run_page.overlaps import overlaps_of
from runs.run_page.page import RunPageQuery, run_page
from runs.selection.choices import sender_of
from runs.web import query
from runs.web.access import require, run_or_404
from runs.web.forms import posts
from runs.web.notes import edit_notes
from runs.web.scope import scope_of


def run_detail(request, run_id):
    run = run_or_404(request, run_id, "curve")
    asked = asked_of(request)
    page = run_page(run, asked)
    context = {
        "page": page,
        "run": run,
        "asked": asked,
        "overlaps": overlaps_of(run, request.user),
        "span_words": live.words(page.span, run.energy_kwh) if page.span else "",
        "place": scope_of(request).place_in(run.project.team_id),
        "run_by": sender_of(run),
    }
    return render(request, "run_page/page.html", context)


def asked_of(request) -> RunPageQuery:
    epochs = query.asked_number(request, "epochs")
    better = query.asked(request, "better")
    return RunPageQuery(
        start_s=query.asked_number(request, "start"),
        end_s=query.asked_number(request, "end"),
        metric=query.asked(request, "metric"),
        better=better if better in ("lower", "higher") else "",
        devices=query.asked(request, "devices"),
        stages=query.asked(request, "stages"),
        calls=query.asked(request, "calls"),
        epochs=int(epochs) if epochs and 1 <= epochs <= MOST_PLANNED else None,
    )


def run_notes(request, run_id):
    return edit_notes(request, run_or_404(request, run_id), reverse("run_detail", args=[run_id]))


@posts("run_detail", "run_id")
def run_recompute(request, run_id):
    """Recalculate with the current catalogue and emission factor; the previous figures are kept."""
    run = run_or_404(request, run_id)
    require(request, Right.CHANGE_RUNS, run.project_id)
    if reestimate.redo_one(run, request.user):
        messages.success(
            request,
            "Recalculated with the current catalogue and emission factor. The previous figures are kept below.",
        )
    else:
        messages.info(request, "Already up to date.")
    return redirect(reverse("run_detail", args=[run_id]) + "#calculation")


@require_http_methods(["GET", "POST"])
def delete_run(request, run_id):
    """Ask for confirmation, then move the run to the trash."""
    run = run_or_404(request, run_id)
    require(request, Right.CHANGE_RUNS, run.project_id)
    if request.method == "POST":
        trash_run(run, request)
        messages.success(request, f"Run {run} deleted. {WAY_BACK}")
        return redirect("run_list")
    return render(request, "run_page/delete.html", {"run": run})


def run_series(request, run_id):
    """Return that part of the run with `start` and `end`, with the charts' `tables` on request; otherwise new data
    since `since`, with state and key figures."""
    run = run_or_404(request, run_id)
    start_s, end_s = query.asked_number(request, "start"), query.asked_number(request, "end")
    if start_s is not None and end_s is not None:
        return JsonResponse(_part(request, *live.part(run, start_s, end_s)))
    most = {name: query.asked_number(request, f"most_{name}") for name in ("power", "utilisation")}
    known = {name: value for name, value in most.items() if value is not None}
    found = live.increment(run, max(0.0, query.asked_number(request, "since") or 0.0), known)
    return JsonResponse(found | {"state": run.state, "seen": times.words(run.last_seen_at, timezone.now())})


def _part(request, charts: list[Chart], words: str) -> dict:
    found = {"charts": {chart.id: chart.data | {"sentence": chart.sentence} for chart in charts}, "words": words}
    tables = {"tables": render_to_string("run_page/_tables.html", {"charts": charts})}
    return found | tables if query.asked(request, "tables") else found


def shared_run(request, link: ShareLink):
    """Show the run to anyone who has the link."""
    run = Run.objects.select_related("factor", "tracked_model", "project", "curve").get(sharelink=link)
    context = {"link": link, "shared": True, "run": run, "page": run_page(run, with_details=link.with_details)}
    return render(request, "run_page/shared.html", context)
