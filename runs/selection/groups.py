"""Runs grouped by model, tag, parameter, hardware or kind: number, sum, and mean ± standard deviation per run."""

import json
from collections.abc import Callable, Iterable, Iterator
from math import sqrt
from typing import Any, NamedTuple
from urllib.parse import quote

from django.db.models import Count, F, Sum
from django.utils.text import Truncator

from hardware.models import HardwareProfile
from runs.models import Run
from runs.selection import kept_sums
from runs.selection.choices import Choices, address_of, asks_for_member
from runs.selection.run_filters import RunFilters
from runs.sql.lookups import Item

#: What runs can be grouped by, besides `param:<key>`.
GROUPS = {"model": "Model", "kind": "Kind", "tag": "Tag", "hardware": "Hardware", "project": "Project"}
GROUPS |= {"member": "Member", "exception": "Exception"}
#: Maximum characters of a parameter's value in a group's name, and of the part of an address that selects its runs:
#: servers accept lines of a few thousand.
LONGEST_LABEL, LONGEST_ADDRESS = 80, 2_500
#: Groupings in which a run may be in several groups; in all others it is in one.
OVERLAPPING = ("tag", "hardware")
MOST_GROUPS = 200
#: Amounts with a standard deviation; durations only have a mean.
SPREAD = ("energy_kwh", "emissions_kg")
#: Sums count each joule once, without the part that other runs of the same process count.
SHARED = ("shared_kwh", "shared_kg")
AMOUNTS = (*SPREAD, *SHARED, "duration_s")
#: The column and the filter of groupings that have another name.
COLUMNS = {"model": "tracked_model", "member": "member_id", "tag": "tags"}
#: The facet and the column of RunSums for a grouping, other than a facet's values, and how they are read.
FACETS = {"model": ("", "tracked_model_id"), "kind": ("", "kind"), "project": ("", "project_id")}
FACETS |= {"tag": ("tags", "value"), "exception": ("end", "value")}
READ: dict[str, Callable] = {"model": int, "project": int, "member": int, "tag": json.loads, "hardware": json.loads}
READ |= {"exception": lambda value: value.partition(":")[2]}
FILTERS = {"hardware": "main_hardware"}


class Spread(NamedTuple):
    """Sum, mean and sample standard deviation (None for one run) of an amount."""

    sum: float
    mean: float
    sd: float | None


class Group(NamedTuple):
    """Runs that have something in common. `filters` selects them in the list, as query-string names and values."""

    label: str
    filters: dict[str, str]
    runs: int
    energy: Spread
    emissions: Spread
    mean_duration_s: float
    #: How many of its runs are also in the base group.
    shared: int = 0

    @property
    def key(self) -> str:
        """What identifies the group in an address."""
        return next(iter(self.filters.values()), self.label)


class Sums(NamedTuple):
    """Runs of one key with the sums of their amounts, and the sums of squares of those with a standard deviation.

    Squares lose digits if runs differ by less than a millionth of their mean; measurements are never that equal.
    """

    key: tuple[str, str]
    runs: int
    sums: list[float]
    squares: list[float]
    shared: int = 0


def grouped(runs, by: str, found: Choices, against: str = "", kept: Iterable[tuple[Any, Sums]] = ()) -> list[Group]:
    """Return groups of these runs, the largest energy first; a run with two tags is in two groups.

    `found` gives their names, `against` is the key of the base group, `kept` is what other runs add to the groups.
    """
    rows = [*kept, *_by_column(runs.order_by(), by)]
    if by == "tag":
        keyed: Iterable = ((_tag_keys(tags), sums) for tags, sums in rows)
    elif by == "hardware":
        keyed = _by_hardware(rows)
    else:
        keys = _keys(by, [value for value, _ in rows], found)
        keyed = (([key], sums) for key, (_, sums) in zip(keys, rows, strict=True))
    return _groups(_added(keyed, against), by)


def kept_groups(projects: list[int], filters: RunFilters, by: str) -> Iterator[tuple[Any, Sums]]:
    """Return the values of ended runs with the sums that are kept of them, of filters that `know_groups`."""
    facet, column = FACETS.get(by, (by, "value"))
    rest = None
    for value, sums in kept_sums.sums_by(projects, filters, facet, column):
        each = _of_kept(sums)
        if by.startswith("param:"):
            rest = _together(rest, each) if rest else each
        yield READ.get(by, str)(value), each
    if by.startswith("param:"):
        for _, sums in kept_sums.sums_by(projects, filters, "", "value"):
            lacking = _without(_of_kept(sums), rest) if rest else _of_kept(sums)
            if lacking.runs:
                yield None, lacking


def _of_kept(sums: list) -> Sums:
    runs, duration_s, *amounts = sums
    *wholes, squared_kwh, squared_kg = amounts
    return Sums(("", ""), int(runs), [*wholes, duration_s], [squared_kwh, squared_kg])


def _without(one: Sums, other: Sums) -> Sums:
    """Return the sums of the runs of one that are not in the other."""
    minus = other._replace(
        runs=-other.runs, sums=[-each for each in other.sums], squares=[-each for each in other.squares]
    )
    return _together(one, minus)


def group_rows(runs: list[Run], by: str, against: str = "") -> list[Group]:
    """Do the same with runs that were already read, by model or tag."""
    found = ((_row_keys(run, by), _sums([getattr(run, name) for name in AMOUNTS])) for run in runs)
    return _groups(_added(found, against), by)


def _row_keys(run: Run, by: str) -> list[tuple[str, str]]:
    model = run.tracked_model
    return _tag_keys(run.tags) if by == "tag" else [(f"{model.project.slug}/{model.slug}", model.name)]


def _groups(found: Iterable[Sums], by: str) -> list[Group]:
    groups = [_group(each, by) for each in found]
    return sorted(groups, key=lambda group: (-group.energy.sum, group.label))


def _group(each: Sums, by: str) -> Group:
    *sums, duration_s = each.sums
    wholes, shared = sums[: len(SPREAD)], sums[len(SPREAD) :]
    energy, emissions = (_spread(each.runs, *three) for three in zip(wholes, shared, each.squares, strict=True))
    value, label = each.key
    return Group(label, _filters(by, value), each.runs, energy, emissions, duration_s / each.runs, each.shared)


def _spread(runs: int, total: float, shared: float, squares: float) -> Spread:
    mean = total / runs
    return Spread(total - shared, mean, sqrt(max(0.0, squares - mean * total) / (runs - 1)) if runs > 1 else None)


def _by_column(runs, by: str) -> Iterator[tuple[Any, Sums]]:
    """Return values with their sums, added up by the database."""
    sums = {f"sum_{name}": Sum(name) for name in AMOUNTS} | {f"sq_{name}": Sum(F(name) * F(name)) for name in SPREAD}
    for row in runs.values(value=_column(by)).annotate(runs=Count("pk"), **sums):
        added, squares = [row[f"sum_{name}"] for name in AMOUNTS], [row[f"sq_{name}"] for name in SPREAD]
        yield row["value"], Sums(("", ""), row["runs"], added, squares)


def _column(by: str):
    if by.startswith("param:"):
        return Item("params", by.removeprefix("param:"))
    return F(COLUMNS.get(by, by))


def _keys(by: str, values: list, found: Choices) -> list[tuple[str, str]]:
    """Return each group's filter value and label."""
    if by == "model":
        models = {row["pk"]: row for row in found.models}
        return [(address_of(models[pk]), models[pk]["name"]) for pk in values]
    if by == "project":
        projects = {row["project_id"]: row for row in found.models}
        return [(projects[pk]["project__slug"], found.project_name(projects[pk])) for pk in values]
    if by == "member":
        return [(asks_for_member(pk), found.members.name_of(pk)) for pk in values]
    if by == "exception":
        return [(value, value or "no exception") for value in values]
    if by.startswith("param:"):
        return [_param_key(by.removeprefix("param:"), value) for value in values]
    return [(value, Run.Kind(value).label) for value in values]


def _param_key(key: str, stored) -> tuple[str, str]:
    """Return the JSON that selects the value, of any type and characters; empty if too long for an address."""
    try:
        value = Item.read(stored)
    except KeyError:
        return "", "not set"
    label = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    address = json.dumps({key: value}, ensure_ascii=False)
    is_short = len(quote(address)) <= LONGEST_ADDRESS
    return address if is_short else "", Truncator(label).chars(LONGEST_LABEL) or '""'


def _sums(amounts: list[float]) -> Sums:
    """Return the sums of one run."""
    return Sums(("", ""), 1, amounts, [amount * amount for amount in amounts[: len(SPREAD)]])


def _added(keyed: Iterable[tuple[Iterable[tuple[str, str]], Sums]], against: str) -> list[Sums]:
    """Add up runs that have several keys at once."""
    found: dict[tuple[str, str], Sums] = {}
    for keys, sums in keyed:
        is_base = any(against == (value or label) for value, label in keys)
        each = sums._replace(shared=sums.runs if is_base else 0)
        for key in keys:
            before = found.get(key)
            found[key] = _together(before, each) if before else each._replace(key=key)
    return list(found.values())


def _together(one: Sums, other: Sums) -> Sums:
    sums = [a + b for a, b in zip(one.sums, other.sums, strict=True)]
    squares = [a + b for a, b in zip(one.squares, other.squares, strict=True)]
    return Sums(one.key, one.runs + other.runs, sums, squares, one.shared + other.shared)


def _tag_keys(tags: list[str]) -> list[tuple[str, str]]:
    return [(tag, tag) for tag in dict.fromkeys(tags)] or [("", "no tag")]


def _by_hardware(found: list[tuple[list, Sums]]) -> Iterator[tuple[list[tuple[str, str]], Sums]]:
    """Group runs by each kind of accelerator that they used, or else by their processors."""
    used = {each for hardware, _ in found for each in hardware}
    names = dict(HardwareProfile.objects.filter(slug__in=used).values_list("slug", "name"))
    for hardware, sums in found:
        keys = [(each, names.get(each, each)) for each in hardware]
        yield keys or [("", "no device")], sums


def _filters(by: str, value: str) -> dict[str, str]:
    """Return the filter that selects a group's runs; empty for runs without the grouped value."""
    if not value:
        return {}
    return {"param" if by.startswith("param:") else FILTERS.get(by, by): value}
