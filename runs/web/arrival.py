"""The invitation that a browser came with, and where somebody without a team goes first."""

from django.shortcuts import redirect

from runs.models import Invitation, Team

#: Where a browser that opened an invitation's link keeps its number, over sign-up and login.
SESSION_KEY = "invitation"


def invitation_opens_the_door(request) -> bool:
    """Whether the browser came with an open invitation, so that it may make an account whatever the setting."""
    return Invitation.objects.open().filter(pk=request.session.get(SESSION_KEY)).exists()


def invited(request) -> Invitation | None:
    """The open invitation whose link this browser opened."""
    invitations = Invitation.objects.open().select_related("team", "invited_by")
    return invitations.filter(pk=request.session.get(SESSION_KEY)).first()


def arrive(request):
    """For somebody without a team: a redirect to the invitation that they came with, else a team of their own."""
    if Team.objects.for_user(request.user).exists():
        return None
    if invited(request):
        return redirect("join")
    Team.personal_for(request.user)
    return None
