"""The start page: create a token, copy the code, wait for the first run."""

from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.db import transaction
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from runs.agent_wheel import install_command
from runs.models import ApiToken, Membership, Project, Right
from runs.start.news import news as dashboard
from runs.web import access as doors
from runs.web import query
from runs.web.arrival import arrive
from runs.web.forms import show_once, shows_once, to_the_form
from runs.web.token_form import LIFETIMES, TokenForm
from traceml_site.checks import is_loopback

TABS = {
    "python": "Python",
    "lightning": "Lightning",
    "transformers": "Hugging Face",
    "keras": "Keras",
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost",
    "notebook": "Notebook",
    "mlflow": "MLflow",
    "fastapi": "FastAPI",
    "command": "Command line",
}


class LifetimeForm(forms.Form):
    days = forms.ChoiceField(label="Expires after", choices=LIFETIMES, initial="365", required=False)


@require_safe
@shows_once
def start(request):
    if answer := arrive(request):
        return answer
    slug = query.asked(request, "project")
    project = _project(request.user, slug) if slug else _projects(request.user).first()
    if not (project and request.shown_once):
        return _page(request, project)
    token = ApiToken.objects.filter(project=project, pk=request.shown_once.get("token")).first()
    return _page(request, project, token=token, plain_text=request.shown_once.get("plain_text"))


def start_token(request, project):
    """Create the token of step 1. Only the next page shows its plain text."""
    project = _project(request.user, project)
    address = f"{reverse('start')}?project={project.slug}"
    if request.method != "POST":
        return to_the_form(request, address)
    with transaction.atomic():
        place = doors.writer(request.user, project.team.slug, Right.MAKE_TOKENS)
        asked = {"project": project.pk, "name": "Start page", "scopes": [ApiToken.Scope.INGEST]}
        form = TokenForm(place, asked | {"days": request.POST.get("days")})
        if not form.is_valid():
            return _page(request, project, form=form)
        token, plain_text = form.issue(request)
    return show_once(request, address, token=token.pk, plain_text=plain_text)


def _page(request, project: Project | None, **more):
    context = {
        "project": project,
        "projects": _projects(request.user),
        "place": project and Membership.objects.get(team=project.team_id, user=request.user),
        "form": LifetimeForm(),
        "install_command": install_command(),
        "base_url": settings.TRACEML_BASE_URL,
        "plain_http": _is_plain_http(settings.TRACEML_BASE_URL),
        "tabs": TABS,
    }
    return render(request, "start/page.html", context | (_wait(project, _begin(project)) if project else {}) | more)


def _is_plain_http(url: str) -> bool:
    """Whether the agent has to allow sending the token unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _projects(user):
    return Project.objects.for_user(user).select_related("team").order_by("team__name", "name")


def _project(user, slug: str) -> Project:
    return get_object_or_404(_projects(user), slug=slug)


def _begin(project: Project):
    """Runs after this moment count as the awaited one; None, any run, where the project has none yet."""
    return timezone.now() if project.run_set.exists() else None


@require_safe
def waiting(request, project):
    """The waiting page, which reloads itself in browsers without JavaScript."""
    found = _project(request.user, project)
    return render(request, "start/waiting.html", {"project": found} | _wait(found, query.asked_time(request, "since")))


def _wait(project: Project, since) -> dict:
    asked = f"?since={since.isoformat().replace('+00:00', 'Z')}" if since else ""
    return {
        "news": dashboard(project, since),
        "since": since,
        "news_url": reverse("start_news", args=[project.slug]) + asked,
        "waiting_url": reverse("start_waiting", args=[project.slug]) + asked,
    }


@require_safe
def news(request, project):
    """News as JSON for the script: at most one run and one refusal."""
    found = dashboard(_project(request.user, project), query.asked_time(request, "since"))
    run, refusal = found.run, found.refusal
    arrived = run and {"url": reverse("run_detail", args=[run.run_id]), "name": run.name or run.tracked_model.name}
    refused = refusal and {"at": refusal.at.isoformat(), "status": refusal.status, "reason": refusal.reason}
    return JsonResponse({"run": arrived, "refusal": refused})
