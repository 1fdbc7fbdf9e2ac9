"""Settings: share links and badges of a team."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from runs.addresses import origin
from runs.models import AuditEntry, Badge, Project, Right, Run, ShareLink, TrackedModel
from runs.models.audit import Action
from runs.models.share import kind_of
from runs.text import clean_text
from runs.web import access as doors
from runs.web.fields import Name
from runs.web.forms import show_once, shows_once

LIFETIMES = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")]
#: The longest list to choose a model from; others can be shared from their own pages.
MODELS_OFFERED = 200
#: The most active links, and the most badges, of a team: all are listed on one page, to be revoked there.
MOST_OUT = 200


class ShareForm(forms.Form):
    days = forms.TypedChoiceField(choices=LIFETIMES, coerce=int, initial=30, label="Expires after")
    with_details = forms.BooleanField(
        required=False,
        label="With details",
        help_text="Also shows run names, tags, parameters, metrics, environment, host names and notes on a model.",
    )


class BadgeForm(forms.Form):
    label = Name(max_length=40, initial="emissions", label="Badge text")


@shows_once
@doors.reads
def shares(request, place):
    """The active links and badges; with `of`, the forms that share it."""
    if not place.may(Right.SHARE):
        raise PermissionDenied
    of = request.GET.get("of", "")
    made = request.shown_once.get("share")
    return _page(request, place, of=of, subject=subject_of(place, of) if of else None, made=made)


def _page(request, place, of="", subject=None, **more):
    projects = place.team.project_set.order_by("name")
    models = TrackedModel.objects.filter(project__in=projects).select_related("project").order_by("project", "name")
    context = {
        "place": place,
        "of": of,
        "subject": subject,
        "kind": kind_of(subject) if subject else "",
        "form": ShareForm(),
        "badge_form": BadgeForm(),
        "links": ShareLink.objects.filter(project__team=place.team).with_names(),
        "badges": Badge.objects.filter(project__team=place.team).with_names(),
        "projects": projects,
        "models": models[:MODELS_OFFERED],
        "base_url": origin(),
    }
    return render(request, "sharing/shares.html", context | more)


@doors.writes(Right.SHARE, "shares")
def share_new(request, place):
    """Create a link. Its address is shown once; no later page can show it."""
    of = request.POST.get("of", "")
    subject, form = subject_of(place, of), ShareForm(request.POST)
    if not form.is_valid() or not _has_room(ShareLink, place, form):
        return _page(request, place, of, subject, form=form)
    link, secret = ShareLink.make(subject, by=request.user, **form.cleaned_data)
    AuditEntry.note(request, place.team, Action.SHARE_MADE, str(link))
    address = origin() + reverse("shared", args=[secret])
    return show_once(request, reverse("shares", args=[place.team.slug]), share=address)


@doors.writes(Right.SHARE, "shares")
def share_revoke(request, place, share):
    link = get_object_or_404(ShareLink, pk=share, project__team=place.team)
    AuditEntry.note(request, place.team, Action.SHARE_REVOKED, str(link))
    link.delete()
    messages.success(request, "Link revoked. Its address no longer works.")
    return redirect("shares", place.team.slug)


@doors.writes(Right.SHARE, "shares")
def badge_new(request, place):
    of = request.POST.get("of", "")
    subject, form = subject_of(place, of), BadgeForm(request.POST)
    if isinstance(subject, Run):
        raise Http404
    if not form.is_valid() or not _has_room(Badge, place, form):
        return _page(request, place, of, subject, badge_form=form)
    badge = Badge.make(subject, form.cleaned_data["label"], by=request.user)
    AuditEntry.note(request, place.team, Action.BADGE_MADE, str(badge))
    messages.success(request, "Badge created.")
    return redirect("shares", place.team.slug)


@doors.writes(Right.SHARE, "shares")
def badge_revoke(request, place, badge):
    found = get_object_or_404(Badge, pk=badge, project__team=place.team)
    AuditEntry.note(request, place.team, Action.BADGE_REVOKED, str(found))
    found.delete()
    messages.success(request, "Badge revoked. Sites that cache it may show it for a few more minutes.")
    return redirect("shares", place.team.slug)


def _has_room(table, place, form: forms.Form) -> bool:
    """Whether the team may create one more; if not, the form shows why."""
    if table.objects.filter(project__team=place.team).count() < MOST_OUT:
        return True
    noun = "links" if table is ShareLink else "badges"
    form.add_error(None, f"Limit reached: {MOST_OUT} active {noun}. Revoke one first.")
    return False


def subject_of(place, of: str) -> Project | TrackedModel | Run:
    """The object of `run:project/uuid`, `model:project/slug` or `project:slug`. Raises Http404 outside the team."""
    try:
        kind, _, path = clean_text(of).partition(":")
        project_slug, _, name = path.partition("/")
        project = get_object_or_404(place.team.project_set, slug=project_slug)
        if kind == "project":
            return project
        if kind == "model":
            return get_object_or_404(project.trackedmodel_set, slug=name)
        if kind == "run":
            return get_object_or_404(project.run_set, run_id=UUID(name))
    except (ValueError, ValidationError):
        raise Http404 from None
    raise Http404
