"""Settings: the trash of a team: list, restore, and delete for good."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.shortcuts import redirect, render

from runs.figures import units
from runs.ingest.trash import RestoreProjectFirst, remove_for_good, restore
from runs.models import ApiToken, Right, Trashed
from runs.models.trashed import KEPT_FOR
from runs.web import access as doors
from runs.web import query

PAGE_SIZE = 50


@doors.reads
def trash(request, place):
    if not place.may(Right.CHANGE_RUNS):
        raise PermissionDenied
    items = Trashed.objects.filter(team=place.team).select_related("trashed_by", "from_project__trashed")
    page = Paginator(items.order_by("-trashed_at", "-pk"), PAGE_SIZE).get_page(query.asked(request, "page"))
    tokens = _tokens([item for item in page.object_list if item.kind == Trashed.Kind.PROJECT])
    context = {
        "place": place,
        "page": page,
        "items": [(item, tokens.get(item.project_id, []), may_restore(place, item)) for item in page.object_list],
        "days": KEPT_FOR.days,
    }
    return render(request, "teams/trash.html", context)


def may_restore(place, item: Trashed) -> bool:
    """The right to restore an item is the right to delete it."""
    return place.may(Right.MANAGE_PROJECTS if item.kind == Trashed.Kind.PROJECT else Right.CHANGE_RUNS)


def _tokens(projects: list[Trashed]) -> dict[int, list[ApiToken]]:
    found: dict[int, list[ApiToken]] = {}
    mine = ApiToken.objects.filter(project__in=[item.project_id for item in projects]).select_related("created_by")
    for token in mine.order_by("created_at"):
        found.setdefault(token.project_id, []).append(token)
    return found


@doors.writes(Right.CHANGE_RUNS, "trash")
def trash_restore(request, place):
    # In reverse order of deletion, so that floating-point sums come out exactly as before.
    items = _chosen(request, place).order_by("-pk")
    restored = 0
    for item in items:
        if not may_restore(place, item):
            raise PermissionDenied
        try:
            restore(item, request)
            restored += 1
        except RestoreProjectFirst:
            messages.error(
                request, f"{item.name} belongs to a project that is also in the trash. Restore the project first."
            )
    if restored:
        messages.success(request, f"Restored {units.counted(restored, 'item')} with all figures.")
    return redirect("trash", place.team.slug)


@doors.writes(Right.MANAGE_PROJECTS, "trash")
def trash_remove(request, place):
    items = list(_chosen(request, place))
    for item in items:
        remove_for_good(item, request)
    if items:
        messages.success(request, f"Permanently deleted {units.counted(len(items), 'item')}.")
    return redirect("trash", place.team.slug)


def _chosen(request, place):
    pks = [int(text) for text in request.POST.getlist("item")[:PAGE_SIZE] if text.isascii() and text.isdecimal()]
    found = Trashed.objects.filter(team=place.team, pk__in=[pk for pk in pks if pk < 2**63])
    found = found.select_related("team", "project", "from_project")
    if not found:
        messages.warning(request, "Select at least one item first.")
    return found
