import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.http import HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils.formats import date_format

from runs.figures.units import Unit, as_json
from runs.models import Right, Run, SavedView
from runs.run_list import page as dashboard
from runs.run_list.columns import CHOSEN_FROM, DEFAULT, shown_columns
from runs.run_list.order import OF_DAYS, sort_heads
from runs.run_list.table import heads_of, table_row, units_of
from runs.selection.choices import Choices
from runs.selection.group_tests import Difference, against, base_group, may_be_compared
from runs.selection.groups import GROUPS, Group
from runs.selection.metric_columns import MOST_COLUMNS, VALUES, MetricColumn
from runs.selection.run_filters import ARCHIVED, STATES, RunFilters, asked_items
from runs.web import query
from runs.web.scope import choices_of, of_a_team, scope_of

#: Maximum characters of a JSON object that selects parameters, and of a group's key: a parameter's value may be long.
LONGEST_PARAM = 4_000


@of_a_team
def run_list(request):
    if day := query.asked_date(request, "day"):  # the heat map's links, hundreds of them, are short
        return HttpResponseRedirect(query.link(request, day=None, since=day, until=day))
    filters, look = asked_filters(request), asked_look(request)
    choices = choices_of(request)
    found = dashboard.run_list(choices, filters, look, query.asked(request, "page"))
    base = base_group(found.groups, look.against)
    groups = group_rows(request, found.groups, base)
    context = table_of(found, look, request.GET, units_of(found.rows)) | {
        "any_runs": found.count_of_all or found.totals.runs or Run.objects.for_user(request.user).exists(),
        "choices": choices,
        "filters": filters,
        "chips": chips(request, filters, choices),
        "metric_values": VALUES,
        "kinds": Run.Kind.choices,
        "states": STATES,
        "columns": CHOSEN_FROM.values(),
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
        "query_string": request.GET.urlencode(),
        "may_change": scope_of(request).may(Right.CHANGE_RUNS),
    }
    return render(request, "run_list/page.html", context)


def table_of(found: dashboard.RunList, look: dashboard.ListLayout, asked: QueryDict, units: Mapping[str, Unit]) -> dict:
    """Return what the templates need for the rows of a list, as `asked`."""
    columns = shown_columns(look.columns, look.params, look.metrics, found.of_days)
    heads = heads_of(columns, units, sort_heads(look.sort, look.metrics), found.of_days)
    return {
        "list": found,
        "look": look,
        "asked": asked,
        "units": units,
        "heads": heads,
        "table_rows": [table_row(row, heads[1:], look.base) for row in found.rows],
        "base_link": link_for_more(asked, "base"),
        "tag_link": link_for_more(asked, "tag", "page"),
    }


def link_for_more(asked: QueryDict, *without: str) -> str:
    """Return the query string without some names, ready for another value at the end."""
    kept = asked.copy()
    for name in without:
        kept.pop(name, None)
    return f"?{kept.urlencode()}&" if kept else "?"


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
        main_hardware=query.asked(request, "main_hardware"),
        exception=query.asked(request, "exception"),
        # Unchanged: values may contain text that names can't, and are only read as JSON.
        param=request.GET.get("param", "")[:LONGEST_PARAM],
    )


def asked_look(request) -> dashboard.ListLayout:
    columns = tuple(name for name in CHOSEN_FROM if name in query.asked_list(request, "column"))
    typed = (key.strip() for text in query.asked_list(request, "params") for key in text.split(","))
    params = [*query.asked_list(request, "shown_param"), *typed]
    value = query.asked(request, "value")
    names = query.asked_list(request, "metric")[:MOST_COLUMNS]
    group = query.asked(request, "group", LONGEST_PARAM)
    base = query.asked_ids(request, "base")[:1]
    return dashboard.ListLayout(
        sort=asked_sort(request),
        columns=columns or DEFAULT,
        params=tuple(dict.fromkeys(filter(None, params)))[: dashboard.MOST_PARAMS],
        metrics=tuple(MetricColumn(name, value if value in VALUES else "last") for name in names),
        against=query.asked(request, "against", LONGEST_PARAM),
        group=group if group in GROUPS or re.match("param:.", group) else "",
        base=Run.objects.for_user(request.user).addressed(base).with_names().first() if base else None,
    )


def asked_sort(request) -> str:
    """Return the sort keys. Use on selected days can't be combined with others, and needs selected days."""
    keys = query.asked(request, "sort").split(",")
    has_days = request.GET.get("since") or request.GET.get("until")
    if has_days and keys[0].removeprefix("-") == OF_DAYS:
        return keys[0]
    return ",".join(key for key in keys if key.removeprefix("-") != OF_DAYS)


def chosen_first(chosen: Iterable[str], offered: list[str]) -> list[str]:
    """Return names to choose from, with the chosen ones first."""
    return list(dict.fromkeys([*chosen, *offered]))


def group_params(look: dashboard.ListLayout, offered: list[str]) -> list[str]:
    """Return the parameters that the form offers for grouping: the current one, columns, those of the runs."""
    by = [look.group.removeprefix("param:")] if look.group.startswith("param:") else []
    return chosen_first([*by, *look.params], offered)


class GroupRow(NamedTuple):
    """A group with links to its runs and to a comparison with it, and its difference from the base group."""

    group: Group
    link: str
    as_base: str
    is_base: bool
    difference: Difference | None

    @property
    def better(self) -> str | None:
        """Colour means news; what may well be chance gets none."""
        return None if self.difference and self.difference.is_significant else ""


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
    """Return the query string of a group's runs; empty if no filter selects them."""
    return query.link(request, **group.filters, group=None, against=None) if group.filters else ""


#: Labels of filters that differ from the filter's name.
WORDS = {"search": "Search", "since": "Ran from", "until": "Ran until", "over": "Over", "archived": "Shown"}
WORDS |= {"main_hardware": "Ran on", "param": "Parameter", "member": "Run by"}


def chips(request, filters: RunFilters, choices: Choices) -> list[tuple[str, str, str]]:
    """Return the active filters: name, value in words, and the query string without it."""
    return [
        (
            WORDS.get(name, name.capitalize()),
            _shown(name, value, choices),
            query.link(request, **{"q" if name == "search" else name: None}),
        )
        for name, value in filters._asdict().items()
        if value not in ("", None)
    ]


def _shown(name: str, value, choices: Choices) -> str:
    if name in ("since", "until"):
        return date_format(value, "j M Y")
    if name == "over":
        return f"{value:g} kWh"
    if name == "member":
        return choices.members.name_of(value)
    if name == "param":
        return ", ".join(f"{key} = {as_json(item)}" for key, item in asked_items(value).items()) or value
    named = {"project": choices.projects, "model": dict(choices.offered), "archived": ARCHIVED}
    text = named.get(name, {}).get(value, value)
    return text.capitalize() if name in ("kind", "state") else text
