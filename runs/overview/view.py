from urllib.parse import urlencode

from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from runs.figures import periods
from runs.models import Run
from runs.overview.page import OverviewQuery
from runs.overview.page import overview as dashboard
from runs.selection.choices import Choices
from runs.selection.usage_filters import UsageFilters
from runs.web import query
from runs.web.scope import choices_of, of_a_team, scope_of

WORDS = {"project": "Project", "model": "Model", "kind": "Kind", "member": "Member", "tag": "Tag"}


@of_a_team
def overview(request):
    found = choices_of(request)
    if not found.models:
        return _nothing_yet(request)
    filters, period = asked_filters(request), asked_period(request)
    look = asked_look(request)
    now = timezone.now()
    links = {"runs_url": runs_url(filters, scope_of(request).asks), "days_url": days_url(request)}
    context = {
        "overview": dashboard(found, filters, period, look, now, links["runs_url"]),
        "period": period,
        "before": period.before(),
        "compared": period.compared(now.date()),
        "bars": periods.BARS,
        "after": period.after(now.date()),
        "presets": periods.PRESETS,
        "filters": filters,
        "choices": found,
        "kinds": Run.Kind.choices,
        "chips": chips(request, filters, found),
        "look": look,
        "quantity": look.quantity,
        **links,
    }
    return render(request, "overview/page.html", context)


def _nothing_yet(request):
    """Answer before the first run: people without a team go to the start page."""
    if not scope_of(request).places:
        return redirect("start")
    return render(request, "overview/page.html")


def asked_filters(request) -> UsageFilters:
    return UsageFilters(*(query.asked(request, name) for name in UsageFilters._fields))


def asked_look(request) -> OverviewQuery:
    whole, bars = request.GET.get("whole", ""), request.GET.get("bars", "")
    return OverviewQuery(
        quantity=query.quantity(request),
        cumulative=request.GET.get("line") == "sum",
        whole=whole if whole in ("hardware", "member") else "",
        bars=bars if bars in periods.BARS else "",
    )


def asked_period(request) -> periods.Period:
    """Return the days of `since` and `until`, or else of the preset `range`; days are UTC."""
    today = timezone.now().date()
    since, until = query.asked_date(request, "since"), query.asked_date(request, "until")
    if since or until:
        return periods.between(since, until, today)
    return periods.period(request.GET.get("range"), today)


def chips(request, filters: UsageFilters, found: Choices) -> list[tuple[str, str, str]]:
    """Return the active filters: name, value in words, and the query string without it."""
    return [
        (WORDS[name], _shown(name, value, found), query.link(request, **{name: None}))
        for name, value in filters._asdict().items()
        if value
    ]


def _shown(name: str, value: str, found: Choices) -> str:
    if name == "project":
        return found.projects.get(value, value)
    if name == "model":
        return dict(found.offered).get(value, value)
    if name == "member":
        return found.members.name_of(value)
    return value.capitalize() if name == "kind" else value


def days_url(request) -> str:
    """Return the query string of this page without its dates."""
    link = query.link(request, range=None, since=None, until=None)
    return link if link == "?" else f"{link}&"


def runs_url(filters: UsageFilters, team: str) -> str:
    """Return the run list of the same team and filters, ready for more of them; runs with the most energy on the days
    first.

    Totals count archived runs, so the list shows them too.
    """
    asked = {name: value for name, value in filters._asdict().items() if value}
    asked |= {"archived": "too", "sort": "-used", "team": team}
    return f"{reverse('run_list')}?{urlencode(asked)}&"
