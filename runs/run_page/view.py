"""A run's own page, its notes, and its figures made anew."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.urls import reverse

from runs.jobs import reestimate
from runs.models import Project, Right
from runs.run_list.view import run_or_404
from runs.run_page.live import words as span_words
from runs.run_page.outlook import MOST_PLANNED
from runs.run_page.overlaps import overlaps_of
from runs.run_page.page import Asked, run_page
from runs.selection.choices import sender_of
from runs.web import query
from runs.web.forms import posts
from runs.web.notes import edit_notes
from runs.web.scope import scope_of


def run_detail(request, run_id):
    run = run_or_404(request, run_id)
    asked = asked_of(request)
    page = run_page(run, asked)
    context = {
        "page": page,
        "run": run,
        "asked": asked,
        "overlaps": overlaps_of(run, request.user),
        "span_words": span_words(page.span, run.energy_kwh) if page.span else "",
        "place": scope_of(request).place_in(run.project.team_id),
        "run_by": sender_of(run),
    }
    return render(request, "run_page/page.html", context)


def asked_of(request) -> Asked:
    epochs = query.asked_number(request, "epochs")
    better = query.asked(request, "better")
    return Asked(
        start_s=query.asked_number(request, "start"),
        end_s=query.asked_number(request, "end"),
        metric=query.asked(request, "metric"),
        better=better if better in ("lower", "higher") else "",
        devices=query.asked(request, "devices"),
        calls=query.asked(request, "calls"),
        epochs=int(epochs) if epochs and 1 <= epochs <= MOST_PLANNED else None,
    )


def run_notes(request, run_id):
    return edit_notes(request, run_or_404(request, run_id), reverse("run_detail", args=[run_id]))


@posts("run_detail", "run_id")
def run_recompute(request, run_id):
    """Make the figures anew by the catalogue and the factor of today; those that they replace are kept."""
    run = run_or_404(request, run_id)
    if not Project.objects.for_user(request.user, Right.CHANGE_RUNS).filter(pk=run.project_id).exists():
        raise PermissionDenied
    if reestimate.redo_one(run, request.user):
        messages.success(request, "Made anew by the catalogue and the factor of today. The former figures are kept.")
    else:
        messages.info(request, "Nothing changes: the figures follow the catalogue and the factor of today.")
    return redirect(reverse("run_detail", args=[run_id]) + "#calculation")
