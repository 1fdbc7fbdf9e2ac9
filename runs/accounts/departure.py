"""Delete an account: which teams need a new owner first, and what is deleted with it.

Also deactivate one: no session, token or link of that person works until the account is activated again.
"""

from collections.abc import Iterable

from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from runs.ingest.removal import remove_team
from runs.models.audit import Action, AuditEntry
from runs.models.team import Membership, Team
from runs.models.user import User


class HandOverFirst(Exception):
    """A team with other members would be left without an owner."""


def teams_to_hand_over(user: User) -> QuerySet[Team]:
    """Teams with other members where this person is the only owner."""
    return teams_left_without_owner([user])


def teams_left_without_owner(people: Iterable[User]) -> QuerySet[Team]:
    """Teams with other members all of whose owners are among these people."""
    others = Membership.objects.filter(team=OuterRef("pk")).exclude(user__in=people)
    owned = Membership.objects.filter(team=OuterRef("pk"), user__in=people, role=Membership.Role.OWNER)
    return Team.objects.filter(Exists(owned), Exists(others), ~Exists(others.owners()))


def teams_that_go(user: User) -> QuerySet[Team]:
    """Teams without other members, each with its number of projects and runs."""
    counts = {
        "project_count": Count("project", distinct=True),
        "run_count": Count("project__run", distinct=True),
    }
    return Team.objects.for_user(user).filter(~Exists(_others(user))).annotate(**counts)


def teams_that_stay(user: User) -> QuerySet[Team]:
    return Team.objects.for_user(user).filter(Exists(_others(user)))


def _others(user: User):
    return Membership.objects.filter(team=OuterRef("pk")).exclude(user=user)


def depart(user: User) -> None:
    """Delete the account and the teams without other members. Raises HandOverFirst if a team needs a new owner."""
    with transaction.atomic():
        # Locks the team's row: nobody joins or leaves between the check and the deletion.
        list(Team.objects.for_user(user).select_for_update(of=("self",)))
        if teams_to_hand_over(user).exists():
            raise HandOverFirst
        for team in Team.objects.filter(pk__in=list(teams_that_go(user).values_list("pk", flat=True))):
            remove_team(team)
        user.delete()


def deactivate(user: User, request=None) -> None:
    """Deactivate the account: end its sessions, and stop its tokens, invitations and share links until it is active."""
    with transaction.atomic():
        _set_active(user, False, Action.MEMBER_DEACTIVATED, request)
        for session in UserSession.objects.filter(user=user):
            session.end()


def activate(user: User, request=None) -> None:
    """Make a deactivated account active again."""
    with transaction.atomic():
        _set_active(user, True, Action.MEMBER_ACTIVATED, request)


def _set_active(user: User, active: bool, action: Action, request) -> None:
    user.is_active = active
    user.save(update_fields=["is_active"])
    for team in Team.objects.for_user(user).order_by("pk"):
        AuditEntry.note(request, team, action, user.email)
