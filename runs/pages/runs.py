import re
from collections.abc import Iterable
from typing import NamedTuple

from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.utils.formats import date_format

from runs.dashboards import runs as dashboard
from runs.dashboards.group_tests import Difference, against, base_group, may_be_compared
from runs.dashboards.groups import GROUPS, Group
from runs.dashboards.metric_columns import MOST_COLUMNS, VALUES, MetricColumn
from runs.dashboards.run_filters import ARCHIVED, RunFilters
from runs.dashboards.run_order import sort_heads
from runs.dashboards.usage_filters import Members, members_of
from runs.models import Membership, Right, Run, SavedView
from runs.models.rights import RIGHTS
from runs.pages import query


def run_list(request):
    if day := query.asked_date(request, "day"):  # a year of days links here: in short, as there are hundreds
        return HttpResponseRedirect(query.link(request, day=None, since=day, until=day))
    filters, look = asked_filters(request), asked_look(request)
    choices = dashboard.choices(request.user)
    found = dashboard.run_list(choices["everywhere"], filters, look, query.asked(request, "page"))
    base, heads = base_group(found.groups, look.against), sort_heads(look.sort, look.metrics)
    groups = group_rows(request, found.groups, base)
    context = {
        "list": found,
        "any_runs": found.count_of_all or found.totals.runs or Run.objects.for_user(request.user).exists(),
        "choices": choices,
        "filters": filters,
        "look": look,
        "chips": chips(request, filters, choices),
        "heads": heads,
        "metric_heads": [(column.name, heads[column.key]) for column in look.metrics],
        "metric_values": VALUES,
        "columns": dashboard.COLUMNS,
        "group_choices": GROUPS,
        "params": chosen_first(look.params, found.params),
        "metrics": chosen_first(look.metric_names, found.metrics),
        "group_params": group_params(look, found.params),
        "group_word": GROUPS.get(look.group) or look.group.removeprefix("param:"),
        "base_group": base,
        "comparison_count": sum(row.difference is not None and row.difference.test is not None for row in groups),
        "group_rows": groups,
        "archived_choices": ARCHIVED,
        "views": SavedView.objects.for_user(request.user).select_related("user"),
        "asked": request.GET,
        "query_string": request.GET.urlencode(),
        "may_change": may_change(request.user),
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
    typed = (key.strip() for text in query.asked_list(request, "params") for key in text.split(","))
    params = [*query.asked_list(request, "param"), *typed]
    value = query.asked(request, "value")
    names = query.asked_list(request, "metric")[:MOST_COLUMNS]
    group = query.asked(request, "group")
    base = query.asked_ids(request, "base")[:1]
    return dashboard.Look(
        sort=query.asked(request, "sort"),
        columns=columns or dashboard.DEFAULT_COLUMNS,
        params=tuple(dict.fromkeys(filter(None, params)))[: dashboard.MOST_PARAMS],
        metrics=tuple(MetricColumn(name, value if value in VALUES else "last") for name in names),
        against=query.asked(request, "against"),
        group=group if group in GROUPS or re.match("param:.", group) else "",
        base=Run.objects.for_user(request.user).addressed(base).with_names().first() if base else None,
    )


def chosen_first(chosen: Iterable[str], offered: list[str]) -> list[str]:
    """Names to choose from, those in force among them."""
    return list(dict.fromkeys([*chosen, *offered]))


def group_params(look: dashboard.Look, offered: list[str]) -> list[str]:
    """Parameters that the form offers to group by: the one in force, those that are columns, those that runs have."""
    by = [look.group.removeprefix("param:")] if look.group.startswith("param:") else []
    return chosen_first([*by, *look.params], offered)


class GroupRow(NamedTuple):
    """A group with the query strings of its runs and of the others against it, and how it differs from the base."""

    group: Group
    link: str
    as_base: str
    is_base: bool
    difference: Difference | None


def group_rows(request, groups: list[Group], base: Group | None) -> list[GroupRow]:
    found = against(groups, base)
    return [
        GroupRow(
            group=group,
            link=group_link(request, group),
            as_base=query.link(request, against=group.key) if may_be_compared(group) else "",
            is_base=group is base,
            difference=found.get(group.key),
        )
        for group in groups
    ]


def group_link(request, group: Group) -> str:
    """The query string of a group's runs; empty where no filter finds them."""
    return query.link(request, **group.filters, group=None, against=None) if group.filters else ""


def may_change(user) -> bool:
    """Whether there is a team whose runs this person may tag, archive and delete."""
    return Membership.objects.filter(user=user, role__in=RIGHTS[Right.CHANGE_RUNS]).exists()


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


def run_or_404(request, run_id) -> Run:
    """The run that this address means to this person."""
    runs = Run.objects.for_user(request.user).addressed([run_id])
    run = runs.select_related("factor", "tracked_model", "project__team").defer("usage").first()
    if run is None:
        raise Http404
    return run
