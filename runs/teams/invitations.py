"""Invitations: created and withdrawn by a team's admins, accepted by anyone who has the link."""

from datetime import timedelta

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from runs import limits, mail
from runs.addresses import origin
from runs.models import AuditEntry, Invitation, Right, Team
from runs.models.audit import Action
from runs.teams import members as members_page
from runs.web import access as doors
from runs.web.arrival import SESSION_KEY, invited
from runs.web.forms import show_once

#: Keeps anyone from using the portal to send spam.
MOST_A_DAY = 50


@doors.writes(Right.INVITE, "members")
def invite(request, place):
    form = members_page.InvitationForm(place, request.POST)
    if form.is_valid() and _made_today(place.team) >= MOST_A_DAY:
        form.add_error(None, f"Limit reached: {MOST_A_DAY} invitations a day for a team. Try again tomorrow.")
    if not form.is_valid():
        return members_page.page(request, place, invite=form)
    limits.INVITATIONS.spend(request.user.pk)
    if form.cleaned_data["email"]:
        limits.INVITED.spend(form.cleaned_data["email"].lower())
    invitation, secret = Invitation.issue(place, form.cleaned_data["role"], form.cleaned_data["email"])
    AuditEntry.note(request, place.team, Action.MEMBER_INVITED, str(invitation))
    link = origin() + reverse("join_by_link", args=[secret])
    if invitation.email and settings.MAIL_IS_SET_UP:  # else the link would appear in the log
        mail.send_text(invitation.email, "invitation", {"place": place, "invitation": invitation, "link": link})
    return show_once(request, reverse("members", args=[place.team.slug]), invitation=invitation.pk, link=link)


def _made_today(team: Team) -> int:
    return Invitation.objects.filter(team=team, created_at__gt=timezone.now() - timedelta(days=1)).count()


@doors.writes(Right.INVITE, "members")
def invitation_revoke(request, place, invitation):
    found = get_object_or_404(Invitation.objects.open().filter(team=place.team), pk=invitation)
    found.revoke()
    AuditEntry.note(request, place.team, Action.INVITATION_REVOKED, str(found))
    messages.success(request, "Invitation withdrawn. Its link no longer works.")
    return redirect("members", place.team.slug)


@login_not_required
def join_by_link(request, secret):
    """Remember the invitation, then redirect to sign-up, sign-in or the answer, without the secret in the address."""
    invitation = Invitation.objects.by_secret(secret)
    if invitation is None:
        limits.GUESSES.spend(limits.address_of(request))
        return _gone(request)
    request.session[SESSION_KEY] = invitation.pk
    if not request.user.is_authenticated and get_adapter(request).is_open_for_signup(request):
        return redirect(f"{reverse('account_signup')}?next={reverse('join')}")
    return redirect("join")


def join(request):
    """Accept or decline the invitation that this browser opened."""
    invitation = invited(request)
    if invitation is None:
        return _gone(request)
    if request.method != "POST":
        return render(request, "teams/join_invited.html", {"invitation": invitation})
    del request.session[SESSION_KEY]
    if request.POST.get("answer") == "accept" and not _accept(request, invitation):
        return _gone(request)
    return redirect("overview")


def _accept(request, invitation) -> bool:
    """Add the person to the team. False if someone else has already used the invitation."""
    try:
        with transaction.atomic():
            membership = invitation.accept(request.user)
            if invitation.accepted_at:
                subject = f"{request.user.email} as {membership.role}"
                AuditEntry.note(request, membership.team, Action.MEMBER_JOINED, subject)
    except Invitation.DoesNotExist:
        return False
    messages.success(request, f"You joined {membership.team} as {membership.get_role_display().lower()}.")
    return True


def _gone(request):
    return render(request, "teams/join_gone.html", status=404)
