"""The members of a team: the list, their roles, and removing them."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect, render

from runs.models import AuditEntry, Invitation, Right
from runs.models.audit import Action
from runs.models.team import LastOwner
from runs.rights import Role
from runs.text import LONGEST_EMAIL
from runs.web import access as doors
from runs.web.forms import shows_once


class InvitationForm(forms.Form):
    email = forms.EmailField(label="Email", required=False, max_length=LONGEST_EMAIL)
    role = forms.ChoiceField(
        label="Role",
        initial=Role.MEMBER,
        help_text="Admins manage people, projects and tokens. Members send, change and share runs. Viewers only read.",
    )

    def __init__(self, place, *args, **options):
        super().__init__(*args, **options)
        self.fields["role"].choices = [(role.value, role.label) for role in place.grantable_roles]  # type: ignore[attr-defined]
        empty = "Leave empty to get a link to copy" if settings.MAIL_IS_SET_UP else "Who the link is for (optional)"
        self.fields["email"].widget.attrs["placeholder"] = empty


@shows_once
@doors.reads
def members(request, place):
    if not (shown := request.shown_once):
        return page(request, place)
    made = Invitation.objects.filter(team=place.team, pk=shown.get("invitation")).first()
    return page(request, place, made=made, link=shown.get("link"))


def page(request, place, **more):
    """The members page, with a new invitation's link or a form that has errors."""
    people = place.team.membership_set.by_role()
    context = {
        "place": place,
        "people": [(person, _roles(place, person)) for person in people],
        "invitations": _invitations(place),
        "invite": InvitationForm(place),
    }
    return render(request, "teams/members.html", context | more)


def _roles(place, person) -> list[Role]:
    """The roles that the reader may give to this person; empty where the reader may not change the role."""
    return place.grantable_roles if place.outranks(person) else []


def _invitations(place):
    invitations = Invitation.objects.open().filter(team=place.team).select_related("invited_by")
    return invitations.order_by("-created_at") if place.may(Right.INVITE) else []


@doors.writes(Right.MANAGE_MEMBERS, "members")
def member_role(request, place, member):
    person, role = _person(place, member), request.POST.get("role", "")
    before = person.role
    try:
        person.give_role(role, by=place)
    except LastOwner as error:
        messages.error(request, error.message)
        return redirect("members", place.team.slug)
    AuditEntry.note(request, place.team, Action.ROLE_CHANGED, f"{person.user.email} from {before} to {role}")
    messages.success(request, f"Role of {person.user.email} changed to {person.get_role_display().lower()}.")
    return redirect("members", place.team.slug)


@doors.writes(Right.MANAGE_MEMBERS, "members")
def member_remove(request, place, member):
    person = _person(place, member)
    if person == place:
        raise PermissionDenied  # leaving is on the team page, which explains the consequences
    person.remove(by=place)
    AuditEntry.note(request, place.team, Action.MEMBER_REMOVED, person.user.email)
    messages.success(request, f"Removed {person.user.email} from {place.team.name} and revoked their tokens.")
    return redirect("members", place.team.slug)


def _person(place, pk: int):
    person = get_object_or_404(place.team.membership_set.select_related("user"), pk=pk)
    person.team = place.team
    return person
