"""Settings: share links and badges, for those who work on a project."""

from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from runs.models import AuditEntry, Badge, Project, Run, ShareLink, TrackedModel
from runs.models.audit import Action
from runs.models.share import kind_of
from runs.pages import query
from runs.text import clean_text

LIFETIMES = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")]
#: More models than this no list of choices should have; the models' own pages share the others.
MODELS_OFFERED = 200


class ShareForm(forms.Form):
    days = forms.TypedChoiceField(choices=LIFETIMES, coerce=int, initial=30, label="Ends after")
    with_details = forms.BooleanField(
        required=False,
        label="With details",
        help_text="Also names of runs, tags, parameters, logged metrics, environment, host names and notes.",
    )


class BadgeForm(forms.Form):
    label = forms.CharField(max_length=40, initial="emissions", label="Words on the badge")

    def clean_label(self) -> str:
        return clean_text(self.cleaned_data["label"])


@require_http_methods(["GET", "POST"])
def shares(request):
    """The list of links and badges; asked `of` something, the forms that share it; after a POST the new address."""
    of = request.POST.get("of") or query.asked(request, "of")
    subject = editable_subject(request.user, of) if of else None
    form = ShareForm(request.POST or None)
    made = None
    if request.method == "POST" and subject and form.is_valid():
        made = _make_link(request, subject, **form.cleaned_data)
    return render(request, "settings/shares.html", _context(request.user) | _asked(subject, of, form) | {"made": made})


def _context(user) -> dict:
    projects = Project.objects.editable_by(user).order_by("name")
    models = TrackedModel.objects.filter(project__in=projects).select_related("project").order_by("project", "name")
    return {
        "links": ShareLink.objects.filter(project__in=projects).with_names(),
        "badges": Badge.objects.filter(project__in=projects).with_names(),
        "projects": projects,
        "models": models[:MODELS_OFFERED],
        "base_url": settings.TRACEML_BASE_URL,
    }


def _asked(subject, of: str, form: ShareForm) -> dict:
    kind = kind_of(subject) if subject else ""
    return {"subject": subject, "kind": kind, "of": of, "form": form, "badge_form": BadgeForm()}


def _make_link(request, subject, days: int, with_details: bool) -> str:
    """Make a link; returns its address, which no later page can show."""
    with transaction.atomic():
        link, secret = ShareLink.make(subject, days, with_details, by=request.user)
        AuditEntry.note(request, link.project.team, Action.SHARE_MADE, str(link))
    return settings.TRACEML_BASE_URL + reverse("shared", args=[secret])


@require_POST
def revoke_share(request, pk):
    link = get_object_or_404(ShareLink, pk=pk, project__in=Project.objects.editable_by(request.user))
    return _revoke(request, link, Action.SHARE_REVOKED, "The link is revoked; its address shows nothing any more.")


@require_POST
def make_badge(request):
    subject = editable_subject(request.user, request.POST.get("of", ""))
    form = BadgeForm(request.POST)
    if isinstance(subject, Run):
        raise Http404
    if form.is_valid():
        with transaction.atomic():
            badge = Badge.make(subject, form.cleaned_data["label"], by=request.user)
            AuditEntry.note(request, badge.project.team, Action.BADGE_MADE, str(badge))
        messages.success(request, "The badge is made.")
    else:
        messages.error(request, f"The badge was not made: its words {form.errors['label'][0]}")
    return redirect("shares")


@require_POST
def revoke_badge(request, pk):
    badge = get_object_or_404(Badge, pk=pk, project__in=Project.objects.editable_by(request.user))
    return _revoke(request, badge, Action.BADGE_REVOKED, "The badge is revoked; sites that keep it follow in minutes.")


def _revoke(request, shared: ShareLink | Badge, action: Action, words: str):
    with transaction.atomic():
        AuditEntry.note(request, shared.project.team, action, str(shared))
        shared.delete()
    messages.success(request, words)
    return redirect("shares")


def editable_subject(user, of: str) -> Project | TrackedModel | Run:
    """What `run:project/uuid`, `model:project/slug` or `project:slug` names.

    Raises Http404 for what this person may not see, PermissionDenied for what he may only look at.
    """
    kind, _, path = _clean(of).partition(":")
    project_slug, _, name = path.partition("/")
    visible = {"project": _project, "model": _model, "run": _run}.get(kind, _nothing)(user, project_slug, name)
    subject = visible.first() if visible is not None else None
    if subject is None:
        raise Http404
    project = subject if isinstance(subject, Project) else subject.project
    if not Project.objects.editable_by(user).filter(pk=project.pk).exists():
        raise PermissionDenied
    return subject


def _clean(of: str) -> str:
    try:
        return clean_text(of)
    except ValidationError:
        raise Http404 from None


def _project(user, project_slug: str, name: str):
    return Project.objects.for_user(user).filter(slug=project_slug)


def _model(user, project_slug: str, name: str):
    return TrackedModel.objects.for_user(user).filter(project__slug=project_slug, slug=name)


def _run(user, project_slug: str, name: str):
    try:
        return Run.objects.for_user(user).filter(project__slug=project_slug, run_id=UUID(name))
    except ValueError:
        return None


def _nothing(user, project_slug: str, name: str):
    return None
