"""Deleting a run or a model: a page that says what goes, and the deed. Both lie in the trash first."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from runs.ingest.trash import trash_model, trash_run
from runs.model_page.view import model_or_404
from runs.models import Project, Right
from runs.run_list.view import run_or_404

WAY_BACK = "It lies in the trash of the team’s settings for 30 days and can be restored there."


def _may_delete(request, project_id: int) -> None:
    if not Project.objects.for_user(request.user, Right.CHANGE_RUNS).filter(pk=project_id).exists():
        raise PermissionDenied


@require_http_methods(["GET", "POST"])
def delete_run(request, run_id):
    run = run_or_404(request, run_id)
    _may_delete(request, run.project_id)
    if request.method == "POST":
        trash_run(run, request)
        messages.success(request, f"The run {run} is deleted. {WAY_BACK}")
        return redirect("run_list")
    return render(request, "run_page/delete.html", {"run": run})


@require_http_methods(["GET", "POST"])
def delete_model(request, project, slug):
    model = model_or_404(request, project, slug)
    _may_delete(request, model.project_id)
    if request.method == "POST":
        trash_model(model, request)
        messages.success(request, f"The model {model} is deleted with its runs. {WAY_BACK}")
        return redirect("model_list")
    return render(request, "model_page/delete.html", {"model": model, "runs": model.run_set.count()})
