import re

from django.http import Http404
from django.shortcuts import render
from django.utils.formats import date_format

from runs.dashboards import runs as dashboard
from runs.dashboards.groups import GROUPS, Group
from runs.dashboards.live import words as span_words
from runs.dashboards.run import run_page
from runs.dashboards.run_filters import ARCHIVED, RunFilters
from runs.dashboards.usage_filters import Members, members_of
from runs.models import Membership, Run, SavedView
from runs.pages import query


def run_list(request):
    filters, look = asked_filters(request), asked_look(request)
    choices = dashboard.choices(request.user)
    found = dashboard.run_list(request.user, filters, look, query.asked(request, "page"))
    context = {
        "list": found,
        "any_runs": found.count_of_all or found.totals["count"] or Run.objects.for_user(request.user).exists(),
        "choices": choices,
        "filters": filters,
        "look": look,
        "chips": chips(request, filters, choices),
        "heads": dashboard.sort_heads(look.sort),
        "columns": dashboard.COLUMNS,
        "group_choices": GROUPS,
        "group_params": group_params(look),
        "group_word": GROUPS.get(look.group) or look.group.removeprefix("param:"),
        "group_rows": [(group, group_link(request, group)) for group in found.groups],
        "archived_choices": ARCHIVED,
        "views": SavedView.objects.for_user(request.user).select_related("user"),
        "query_string": request.GET.urlencode(),
        "may_edit": may_edit(request.user),
    }
    return render(request, "runs/list.html", context)


def asked_filters(request) -> RunFilters:
    return RunFilters(
        search=query.asked(request, "q"),
        project=query.asked(request, "project"),
        model=query.asked(request, "model"),
        kind=query.asked(request, "kind"),
        state=query.asked(request, "state"),
        tag=query.asked(request, "tag"),
        hardware=query.asked(request, "hardware"),
        since=query.asked_date(request, "since"),
        until=query.asked_date(request, "until"),
        over=query.asked_number(request, "over"),
        archived=query.asked(request, "archived"),
        member=query.asked(request, "member"),
    )


def asked_look(request) -> dashboard.Look:
    columns = tuple(name for name in dashboard.COLUMNS if name in query.asked_list(request, "column"))
    params = (key.strip() for text in query.asked_list(request, "params") for key in text.split(","))
    group = query.asked(request, "group")
    base = query.asked_ids(request, "base")[:1]
    return dashboard.Look(
        sort=query.asked(request, "sort"),
        columns=columns or dashboard.DEFAULT_COLUMNS,
        params=tuple(dict.fromkeys(filter(None, params)))[: dashboard.MOST_PARAMS],
        group=group if group in GROUPS or re.match("param:.", group) else "",
        base=Run.objects.for_user(request.user).addressed(base).with_names().first() if base else None,
    )


def group_params(look: dashboard.Look) -> list[str]:
    """Parameters that the form offers to group by: those that are columns, and the one in force."""
    by = [look.group.removeprefix("param:")] if look.group.startswith("param:") else []
    return list(dict.fromkeys([*look.params, *by]))


def group_link(request, group: Group) -> str:
    """The query string of a group's runs; empty where no filter finds them."""
    return query.link(request, **group.filters, group=None) if group.filters else ""


def may_edit(user) -> bool:
    """Whether there is a team in which this person does more than look."""
    return Membership.objects.filter(user=user).exclude(role=Membership.Role.VIEWER).exists()


def chips(request, filters: RunFilters, choices: dict) -> list[tuple[str, str, str]]:
    """Each filter in force: its word, its value for people, and the query string without it."""
    named = {"project": dict(choices["projects"]), "model": dict(choices["models"]), "archived": ARCHIVED}
    members = members_of(request.user) if filters.member else Members({})
    words = {"search": "Search", "since": "From", "until": "Until", "over": "Over", "archived": "Shown"}
    found = []
    for name, value in filters._asdict().items():
        if value in ("", None):
            continue
        asked = "q" if name == "search" else name
        found.append(
            (
                words.get(name, name.capitalize()),
                _shown(name, value, named, members),
                query.link(request, **{asked: None}),
            )
        )
    return found


def _shown(name: str, value, named: dict, members: Members) -> str:
    if name in ("since", "until"):
        return date_format(value, "j M Y")
    if name == "over":
        return f"{value:g} kWh"
    if name == "member":
        return members.name_of(value)
    text = named.get(name, {}).get(value, value)
    return text.capitalize() if name in ("kind", "state") else text


def run_detail(request, run_id):
    run = run_or_404(request, run_id)
    page = run_page(run, query.asked_number(request, "start"), query.asked_number(request, "end"))
    place = run.project.team.membership_set.filter(user=request.user).first()
    context = {"page": page, "run": run, "span_words": span_words(page.span) if page.span else "", "place": place}
    return render(request, "runs/detail.html", context)


def run_or_404(request, run_id) -> Run:
    """The run that this address means to this person."""
    runs = Run.objects.for_user(request.user).addressed([run_id])
    run = runs.select_related("factor", "tracked_model", "project__team").defer("usage").first()
    if run is None:
        raise Http404
    return run
