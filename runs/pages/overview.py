from urllib.parse import urlencode

from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from runs.dashboards import periods
from runs.dashboards.overview import Look
from runs.dashboards.overview import overview as dashboard
from runs.dashboards.usage_filters import Choices, UsageFilters, address_of, choices
from runs.models import Run, Team
from runs.pages import query

WORDS = {"project": "Project", "model": "Model", "kind": "Kind", "member": "Member", "tag": "Tag"}


def overview(request):
    found = choices(request.user)
    if not found.models:
        return _nothing_yet(request)
    filters, period = asked_filters(request), asked_period(request)
    look = Look(query.quantity(request), request.GET.get("line") == "sum")
    now = timezone.now()
    context = {
        "overview": dashboard(found, filters, period, look, now),
        "period": period,
        "before": period.before(),
        "after": period.after(now.date()),
        "presets": periods.PRESETS,
        "filters": filters,
        "choices": found,
        "kinds": Run.Kind.choices,
        "chips": chips(request, filters, found),
        "look": look,
        "quantity": look.quantity,
        "runs_url": runs_url(filters),
    }
    return render(request, "overview.html", context)


def _nothing_yet(request):
    """Before the first run: a person without a team is led through the first steps."""
    if not Team.objects.for_user(request.user).exists():
        return redirect("start")
    return render(request, "overview.html")


def asked_filters(request) -> UsageFilters:
    return UsageFilters(*(query.asked(request, name) for name in UsageFilters._fields))


def asked_period(request) -> periods.Period:
    """The days of `since` and `until`, else of the preset `range`; days are UTC."""
    today = timezone.now().date()
    since, until = query.asked_date(request, "since"), query.asked_date(request, "until")
    if since or until:
        return periods.between(since, until, today)
    return periods.period(request.GET.get("range"), today)


def chips(request, filters: UsageFilters, found: Choices) -> list[tuple[str, str, str]]:
    """Each filter in force: its word, its value for people, and the query string without it."""
    return [
        (WORDS[name], _shown(name, value, found), query.link(request, **{name: None}))
        for name, value in filters._asdict().items()
        if value
    ]


def _shown(name: str, value: str, found: Choices) -> str:
    if name == "project":
        return found.projects.get(value, value)
    if name == "model":
        return next((row["name"] for row in found.models if address_of(row) == value), value)
    if name == "member":
        return found.members.name_of(value)
    return value.capitalize() if name == "kind" else value


def runs_url(filters: UsageFilters) -> str:
    """The run list with the same filters, ready for more of them; totals count archived runs, so it shows them too."""
    asked = {name: value for name, value in filters._asdict().items() if value} | {"archived": "too"}
    return f"{reverse('run_list')}?{urlencode(asked)}&"
