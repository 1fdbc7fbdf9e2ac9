"""Who may come in: a team's settings are 404 for people outside of it, 403 where a member's role lacks the right."""

from functools import wraps

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from runs.models import Membership, Right, Team
from runs.web.forms import to_the_form


def reads(view):
    """A page of a team: the view gets the reader's `place` (a Membership) instead of the team's slug."""

    @require_safe
    @wraps(view)
    def guarded(request, team: str, **parts):
        return view(request, place_in(Team.objects.all(), team, request.user), **parts)

    return guarded


def writes(right: Right, page: str, *parts: str):
    """A change by people who have this right, in a transaction of its own; its form stands on this page of the team.

    The team's row is its lock: what one request decides by members and roles, none can change meanwhile.
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
                place_in(Team.objects.all(), team, request.user)  # outsiders are led nowhere
            return to_the_form(request, reverse(page, kwargs={"team": team} | {name: given[name] for name in parts}))

        return guarded

    return door


def writer(user, team: str, right: Right) -> Membership:
    """The person's place, with the team locked. Raises Http404 for outsiders, PermissionDenied without the right."""
    place = place_in(Team.objects.select_for_update(of=("self",)), team, user)
    if not place.may(right):
        raise PermissionDenied
    return place


def place_in(teams, slug: str, user) -> Membership:
    team = get_object_or_404(teams.for_user(user), slug=slug)
    # Asked for after the lock: whoever was removed while this request waited for it is outside now.
    place = get_object_or_404(Membership.objects.select_related("user"), team=team, user=user)
    place.team = team
    return place
