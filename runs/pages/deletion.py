"""Deleting a run: a page that says what goes, and the deed."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from runs.ingest.removal import remove_run
from runs.models import Project, Right
from runs.pages.runs import run_or_404


@require_http_methods(["GET", "POST"])
def delete_run(request, run_id):
    run = run_or_404(request, run_id)
    if not Project.objects.for_user(request.user, Right.CHANGE_RUNS).filter(pk=run.project_id).exists():
        raise PermissionDenied
    if request.method == "POST":
        remove_run(run, request)
        messages.success(request, f"The run {run} is deleted.")
        return redirect("run_list")
    return render(request, "runs/delete.html", {"run": run})
