"""A person's own settings: profile, theme, sessions, data download, and deleting the account."""

import zoneinfo
from functools import cache

from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.core.exceptions import BadRequest, ValidationError
from django.db import transaction
from django.forms.utils import flatatt
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_http_methods, require_safe

from runs.accounts.departure import (
    HandOverFirst,
    depart,
    teams_that_go,
    teams_that_stay,
    teams_to_hand_over,
)
from runs.accounts.person import everything_about
from runs.models import ApiToken, AuditEntry, Membership, User
from runs.models.audit import Action
from runs.text import clean_text
from runs.web.forms import posts

REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
FACTORS = {"totp": "authenticator app", "webauthn": "keys", "recovery_codes": "recovery codes"}


@cache
def time_zones() -> list[tuple[str, list[tuple[str, str]]]]:
    """The IANA time zones by region, without legacy names."""
    regions: dict[str, list[tuple[str, str]]] = {region: [] for region in REGIONS}
    for name in sorted(zoneinfo.available_timezones()):
        region, _, place = name.partition("/")
        if region in regions:
            regions[region].append((name, place.replace("_", " ")))
    return [("World", [("UTC", "UTC")]), *regions.items()]


class PersonName(forms.CharField):
    """A person's name: text that is safe to store and show."""

    def to_python(self, value):
        try:
            return clean_text(super().to_python(value) or "", self.max_length or 150)
        except ValidationError as error:
            raise ValidationError(f"The name {error.message}.") from None


class GroupedSelect(forms.Select):
    """A select of groups with hundreds of options by one template: by Django's, one for each, it took 30 ms."""

    def render(self, name, value, attrs=None, renderer=None):
        attributes = flatatt(self.build_attrs(self.attrs, {"name": name, **(attrs or {})}))
        context = {"attributes": attributes, "groups": self.choices, "chosen": value}
        return render_to_string("accounts/_grouped_select.html", context)


class OwnProfileForm(forms.ModelForm):
    first_name = PersonName(max_length=150, required=False)
    last_name = PersonName(max_length=150, required=False)
    time_zone = forms.ChoiceField(
        choices=time_zones, widget=GroupedSelect, help_text="All pages show times in this zone."
    )
    theme = forms.ChoiceField(choices=User.Theme.choices, help_text="System follows your device.")

    class Meta:
        model = User
        fields = ["first_name", "last_name", "time_zone", "theme", "shows_equivalences"]


class DeletionForm(forms.Form):
    email = forms.CharField(label="Type your email address to confirm", widget=forms.TextInput({"autocomplete": "off"}))

    def __init__(self, user: User, *args):
        super().__init__(*args)
        self.user = user

    def clean_email(self):
        if self.cleaned_data["email"].lower() != self.user.email:
            raise ValidationError(f"Type {self.user.email} to confirm.")
        return self.user.email


@require_http_methods(["GET", "POST"])
def profile(request):
    person = User.objects.get(pk=request.user.pk)  # a form with errors must not change the page header
    form = OwnProfileForm(request.POST or None, instance=person, initial={"theme": person.theme or User.Theme.SYSTEM})
    if form.is_valid():
        form.save()
        messages.success(request, "Profile saved.")
        return redirect("profile")
    context = {"form": form, "factors": _factors(person), "session_count": len(_sessions(person))}
    return render(request, "accounts/profile.html", context)


def _factors(user: User) -> str:
    kinds = Authenticator.objects.filter(user=user).order_by("type").values_list("type", flat=True).distinct()
    return ", ".join(FACTORS[kind] for kind in kinds).capitalize()


@posts("profile")
def save_theme(request):
    """Save the choice of the theme switch, so that it applies in all browsers of this person."""
    theme = request.POST.get("theme")
    if theme not in User.Theme.values:
        raise BadRequest("The parameter theme must be one of " + ", ".join(User.Theme.values) + ".")
    User.objects.filter(pk=request.user.pk).update(theme=theme)
    return HttpResponse(status=204)


def _sessions(user: User) -> list[UserSession]:
    return sorted(UserSession.objects.purge_and_list(user), key=lambda session: session.created_at, reverse=True)


@require_http_methods(["GET", "POST"])
def sessions(request):
    """List the signed-in browsers; a POST ends one session or all others."""
    mine = _sessions(request.user)
    if request.method != "POST":
        return render(request, "accounts/sessions.html", {"sessions": mine})
    chosen = request.POST.get("session")
    ended = [each for each in mine if not each.is_current() and chosen in ("others", str(each.pk))]
    for session in ended:
        session.end()
    messages.success(request, "Session ended." if ended else "That session had already ended.")
    return redirect("sessions")


@require_safe
def export_my_data(request):
    answer = JsonResponse(everything_about(request.user), json_dumps_params={"indent": 2, "ensure_ascii": False})
    answer["Content-Disposition"] = 'attachment; filename="traceml-my-data.json"'
    return answer


@require_http_methods(["GET", "POST"])
@reauthentication_required()
def delete_account(request):
    form = DeletionForm(request.user, request.POST or None)
    if form.is_valid():
        try:
            return _depart(request)
        except HandOverFirst:
            pass  # the page explains it
    context = {
        "form": form,
        "to_hand_over": [_with_heirs(team, request.user) for team in teams_to_hand_over(request.user)],
        "going": teams_that_go(request.user),
        "staying": teams_that_stay(request.user),
    }
    return render(request, "accounts/delete_account.html", context)


def _with_heirs(team, user: User):
    places = Membership.objects.able().filter(team=team).exclude(user=user).select_related("user")
    team.heirs = [place.user for place in places.order_by("user__email")]
    return team


def _depart(request) -> HttpResponse:
    with transaction.atomic():
        for team in teams_that_stay(request.user):
            AuditEntry.note(request, team, Action.MEMBER_LEFT, f"{request.user.email} (account deleted)")
            for token in ApiToken.objects.filter(project__team=team, created_by=request.user).order_by("pk"):
                AuditEntry.note(request, team, Action.TOKEN_REMOVED, token.history)
        depart(request.user)
    logout(request)
    messages.success(request, "Account deleted.")
    return redirect("account_login")
