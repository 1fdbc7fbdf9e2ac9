"""API tokens: create, rotate, revoke. The plain text is shown once and stored nowhere."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from runs.models import ApiToken, AuditEntry, Right
from runs.models.audit import Action
from runs.web import access as doors
from runs.web import query
from runs.web.forms import show_once, shows_once
from runs.web.token_form import TokenForm, subject

OVERLAPS = [("1", "1 hour"), ("24", "1 day"), ("168", "7 days"), ("0", "Stops at once")]
#: How long ended tokens stay in the list, so that people find the reason for a sudden 401.
ENDED_SHOWN_FOR = timedelta(days=30)


class RotateForm(forms.Form):
    hours = forms.ChoiceField(label="Old token works for", choices=OVERLAPS, initial="24")


@shows_once
@doors.reads
def tokens(request, place):
    if not (shown := request.shown_once):
        return _page(request, place)
    made = _of(place).filter(pk=shown.get("token")).select_related("predecessor").first()
    return _page(request, place, made=made, plain_text=shown.get("plain_text"))


def _page(request, place, **more):
    listed = _of(place).filter(_shown()).select_related("created_by", "successor").order_by("-created_at")
    asked = place.team.project_set.filter(slug=query.asked(request, "project")).first()
    context = {
        "place": place,
        "tokens": [(token, _may_manage(place, token)) for token in listed],
        "new": TokenForm(place, initial={"project": asked}),
        "rotate": RotateForm(),
    }
    return render(request, "teams/tokens.html", context | more)


def _shown() -> Q:
    since = timezone.now() - ENDED_SHOWN_FOR
    return (Q(revoked_at=None) | Q(revoked_at__gt=since)) & (Q(expires_at=None) | Q(expires_at__gt=since))


def _of(place):
    return ApiToken.objects.filter(project__team=place.team).select_related("project")


def _may_manage(place, token: ApiToken) -> bool:
    """Members manage the tokens that they created, admins manage all of them."""
    own = token.created_by_id == place.user_id and place.may(Right.MAKE_TOKENS)
    return own or place.may(Right.MANAGE_TOKENS)


@doors.writes(Right.MAKE_TOKENS, "tokens")
def token_new(request, place):
    form = TokenForm(place, request.POST)
    if not form.is_valid():
        return _page(request, place, new=form)
    token, plain_text = form.issue(request)
    return _show(request, place, token, plain_text)


def _show(request, place, made: ApiToken, plain_text: str):
    return show_once(request, reverse("tokens", args=[place.team.slug]), token=made.pk, plain_text=plain_text)


@doors.writes(Right.MAKE_TOKENS, "tokens")
def token_rotate(request, place, token):
    old = _managed(place, token)
    form = RotateForm(request.POST)
    if not form.is_valid():
        return _page(request, place, rotate=form)
    try:
        made, plain_text = old.rotate(request.user, timedelta(hours=int(form.cleaned_data["hours"])))
    except ValidationError as error:
        messages.error(request, error.message)
        return redirect("tokens", place.team.slug)
    AuditEntry.note(request, place.team, Action.TOKEN_ROTATED, f"{old.prefix} by {subject(made)}")
    return _show(request, place, made, plain_text)


@doors.writes(Right.MAKE_TOKENS, "tokens")
def token_revoke(request, place, token):
    token = _managed(place, token)
    if not token.revoked_at:
        token.revoke()
        AuditEntry.note(request, place.team, Action.TOKEN_REVOKED, subject(token))
    messages.success(request, f"Token {token.prefix} revoked.")
    return redirect("tokens", place.team.slug)


def _managed(place, pk: int) -> ApiToken:
    token = get_object_or_404(_of(place), pk=pk)
    if not _may_manage(place, token):
        raise PermissionDenied
    return token
