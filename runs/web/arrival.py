"""The invitation that a browser opened, and the first page for people without a team."""

from django.shortcuts import redirect

from runs.models import Invitation, Team

#: The session key that holds the opened invitation's id during sign-up and sign-in.
SESSION_KEY = "invitation"


def invitation_opens_the_door(request) -> bool:
    """Return whether this browser has a valid invitation, and may create an account whatever the setting is."""
    return Invitation.objects.open().filter(pk=request.session.get(SESSION_KEY)).exists()


def invited(request) -> Invitation | None:
    """Return the valid invitation whose link this browser opened, or None."""
    invitations = Invitation.objects.open().select_related("team", "invited_by")
    return invitations.filter(pk=request.session.get(SESSION_KEY)).first()


def arrive(request):
    """For people without a team: redirect to their invitation, or else create a team of their own."""
    if Team.objects.for_user(request.user).exists():
        return None
    if invited(request):
        return redirect("join")
    Team.personal_for(request.user)
    return None
