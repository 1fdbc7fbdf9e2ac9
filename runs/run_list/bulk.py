"""Actions on several runs at once; deletion needs a second POST that confirms it."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.http import QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from runs.figures import units
from runs.ingest.tags import tag_run, untag_run
from runs.ingest.trash import trash_run
from runs.models import Right, Run
from runs.text import clean_text
from runs.web import query
from runs.web.forms import posts

MOST_RUNS = 200


@posts("run_list")
def bulk(request):
    """Compare, tag, archive or delete the selected runs, then return to the same list."""
    run_ids = query.as_ids(request.POST.getlist("run")[:MOST_RUNS])
    action = request.POST.get("action", "")
    if action == "compare":
        return redirect(reverse("compare") + "?" + "&".join(f"run={run_id}" for run_id in run_ids))
    if action not in ACTIONS:
        raise BadRequest("Unknown action.")
    runs = Run.objects.for_user(request.user, Right.CHANGE_RUNS).addressed(run_ids).select_related("tracked_model")
    if not runs:
        messages.warning(request, "Select at least one run that you have permission to change.")
    elif action == "delete" and request.POST.get("confirm") != "yes":
        return render(request, "run_list/confirm_delete.html", {"runs": runs, "back": request.POST.get("back", "")})
    else:
        ACTIONS[action](request, runs)
    return redirect(_back(request))


def _back(request) -> str:
    """Redirect to the run list with its previous query string; the form can't redirect anywhere else."""
    return reverse("run_list") + "?" + QueryDict(request.POST.get("back", "")[:2000]).urlencode()


def _tag(request, runs) -> None:
    if tag := _asked_tag(request):
        for run in runs:
            tag_run(run, tag)
        messages.success(request, f"Tagged {_count(runs)}.")


def _untag(request, runs) -> None:
    if tag := _asked_tag(request):
        for run in runs:
            untag_run(run, tag)
        messages.success(request, f"Removed the tag from {_count(runs)}.")


def _asked_tag(request) -> str:
    try:
        tag = clean_text(request.POST.get("tag", ""))
    except ValidationError as error:
        messages.error(request, f"The tag {error.message}.")
        return ""
    if not tag:
        messages.warning(request, "Enter a tag first.")
    return tag


def _archive(request, runs) -> None:
    words = _count(runs)
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(archived_at=timezone.now())
    messages.success(request, f"Archived {words}. Totals still include them.")


def _restore(request, runs) -> None:
    words = _count(runs)
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(archived_at=None)
    messages.success(request, f"Restored {words}.")


def _delete(request, runs) -> None:
    words = _count(runs)
    for run in runs:
        trash_run(run, request)
    messages.success(request, f"Moved {words} to the trash of the team’s settings. You can restore them for 30 days.")


def _count(runs) -> str:
    return units.counted(len(runs), "run")


ACTIONS: dict[str, Callable] = {
    "tag": _tag,
    "untag": _untag,
    "archive": _archive,
    "restore": _restore,
    "delete": _delete,
}
