"""Access to teams and their objects: 404 for people outside the team, 403 if a member's role lacks the right."""

from functools import wraps

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from runs.models import Membership, Project, Right, Run, Team, TrackedModel
from runs.selection.choices import with_sender
from runs.web.forms import to_the_form


def reads(view):
    """Decorate a page of a team: the view gets the reader's `place` (a Membership) instead of the team's slug."""

    @require_safe
    @wraps(view)
    def guarded(request, team: str, **parts):
        return view(request, place_in(Team.objects.all(), team, request.user), **parts)

    return guarded


def writes(right: Right, page: str, *parts: str):
    """Decorate a change that needs this right and runs in a transaction; `page` is the team page with its form.

    It locks the team's row, so that no other request changes members and roles in the meantime.
    """

    def door(view):
        @transaction.atomic
        def changes(request, team: str, **given):
            return view(request, writer(request.user, team, right), **given)

        @wraps(view)
        def guarded(request, team: str, **given):
            if request.method == "POST":
                return changes(request, team, **given)
            if request.method in ("GET", "HEAD"):
                place_in(Team.objects.all(), team, request.user)  # 404 for outsiders
            return to_the_form(request, reverse(page, kwargs={"team": team} | {name: given[name] for name in parts}))

        return guarded

    return door


def writer(user, team: str, right: Right) -> Membership:
    """Return the person's place, with the team locked. Raises Http404 for outsiders, PermissionDenied without right."""
    place = place_in(Team.objects.select_for_update(of=("self",)), team, user)
    if not place.may(right):
        raise PermissionDenied
    return place


def place_in(teams, slug: str, user) -> Membership:
    team = get_object_or_404(teams.for_user(user), slug=slug)
    # Read after the lock: the person may have been removed while this request waited for it.
    place = get_object_or_404(Membership.objects.select_related("user"), team=team, user=user)
    place.team = team
    return place


def run_or_404(request, run_id, *more: str) -> Run:
    """Return the run with this id that this person may see, with its sender, model, team, emission factor, and more."""
    runs = Run.objects.for_user(request.user).addressed([run_id])
    run = with_sender(runs).select_related("factor", "tracked_model", "project__team", *more).defer("usage").first()
    if run is None:
        raise Http404
    return run


def model_or_404(request, project: str, slug: str) -> TrackedModel:
    models = TrackedModel.objects.for_user(request.user).select_related("project__team")
    return get_object_or_404(models, project__slug=project, slug=slug)


def project_or_404(request, slug: str) -> Project:
    return get_object_or_404(Project.objects.for_user(request.user), slug=slug)


def require(request, right: Right, project_id: int) -> None:
    """Raise PermissionDenied if the person lacks this right in the project."""
    if not Project.objects.for_user(request.user, right).filter(pk=project_id).exists():
        raise PermissionDenied
