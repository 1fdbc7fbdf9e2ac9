"""The order of the run list, and any page of it without reading the rest. This module only handles ids."""

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.db import connection
from django.db.models import Sum

from runs.models.run import SORTED_BY
from runs.run_list.columns import SORTS
from runs.selection.metric_columns import MetricColumn
from runs.selection.run_totals import SUMMED, ListTotals, bounded_totals_of

PAGE_SIZE = 50
#: A sort key that only exists in a list of selected days.
OF_DAYS = "used"
#: By the portal's clock: a wrong clock could keep a run on top for a day, or hide it for years.
DEFAULT_SORT = "-arrived"
MOST_SORT_KEYS = 3
#: The most runs that are looked up at once; if no more match, this also gives their totals and pages.
MOST_KNOWN = 1000
#: Up to this many projects, runs are merged in order; with more, they are sorted.
MOST_MERGED = 100
Metrics = Sequence[MetricColumn]


def sort_keys(sort: str, metrics: Metrics = ()) -> list[str]:
    """Return the known keys of a sort such as `-energy,started`, each at most once; only metrics that are columns."""
    keys: dict[str, str] = {}
    known = {*SORTS, *(column.key for column in metrics)}
    for key in sort.split(","):
        if key.removeprefix("-") in known:
            keys.setdefault(key.removeprefix("-"), key)
    return list(keys.values())[:MOST_SORT_KEYS] or [DEFAULT_SORT]


def ordering(sort: str, metrics: Metrics = ()) -> list[str]:
    """Return the columns of a sort, for runs of `sortable`; without a known key, the newest come first.

    Runs that are equal go by id, in the direction of the first key, as in the indexes.
    """
    by_key, keys = {column.key: column for column in metrics}, []
    for key in sort_keys(sort, metrics):
        sign, name = key[: key.startswith("-")], key.removeprefix("-")
        keys += by_key[name].order(sign) if name in by_key else [sign + SORTS[name]]
    return [*keys, "-id" if sort_keys(sort, metrics)[0].startswith("-") else "id"]


def sortable(runs, sort: str, metrics: Metrics = ()):
    """Add the metrics that the runs are sorted by."""
    asked = {key.removeprefix("-") for key in sort_keys(sort, metrics)}
    for column in metrics:
        if column.key in asked:
            runs = column.joined(runs)
    return runs


class SortHead(NamedTuple):
    """What a column's head shows and does: `sort` makes this column the first key and keeps the others after it."""

    sort: str
    direction: str
    rank: int


def sort_heads(sort: str, metrics: Metrics = ()) -> dict[str, SortHead]:
    keys = sort_keys(sort, metrics)
    heads = {}
    for name in [*SORTS, *(column.key for column in metrics)]:
        rank = next((n for n, key in enumerate(keys, start=1) if key.removeprefix("-") == name), 0)
        down = rank > 0 and keys[rank - 1].startswith("-")
        turned = name if down and rank == 1 else "-" + name
        rest = [key for key in keys if key.removeprefix("-") != name] if sort else []
        direction = "" if not rank else "descending" if down else "ascending"
        heads[name] = SortHead(",".join([turned, *rest][:MOST_SORT_KEYS]), direction, rank)
    return heads


def page_of(runs, projects: list[int], sort: str, number: int | str, totals: ListTotals, metrics: Metrics = ()) -> Page:
    """Return the ids of a page of these runs, which belong to `projects` and add up to `totals`."""
    ordered = _Ordered(sortable(runs, sort, metrics), projects, ordering(sort, metrics), [], totals)
    return _page(ordered, number)


def page_by_use(days, sort: str, number: int | str, totals: ListTotals) -> Page:
    """Return the ids of a page of the runs with these rows of days, by their energy on these days."""
    order = "-used_kwh" if sort.startswith("-") else "used_kwh"
    runs = days.order_by().values("run").annotate(used_kwh=Sum("energy_kwh")).order_by(order, "-run")
    return _page(_Counted(runs.values_list("run", flat=True), totals.listed), number)


class _Counted:
    """Rows of known number, in the form that a Paginator slices."""

    def __init__(self, rows, number: int):
        self.rows, self.number = rows, number

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, part: slice) -> list[int]:
        return list(self.rows[part])


def page_of_few(
    runs, projects: list[int], sort: str, number: int | str, metrics: Metrics = ()
) -> tuple[Page, ListTotals]:
    """Return the same and the totals, for runs that may be few: these are searched once, not twice."""
    keys, prepared = ordering(sort, metrics), sortable(runs, sort, metrics)
    known = list(_in_order(prepared, projects, keys, MOST_KNOWN + 1, *SUMMED))
    pks = [row[0] for row in known]
    if len(known) <= MOST_KNOWN:
        energy_kwh, emissions_kg, shared_kwh, shared_kg = (fsum(row[place] for row in known) for place in range(1, 5))
        return _page(pks, number), ListTotals(len(known), energy_kwh - shared_kwh, emissions_kg - shared_kg)
    totals = bounded_totals_of(runs)
    return _page(_Ordered(prepared, projects, keys, pks, totals), number), totals


def _page(pks, number: int | str) -> Page:
    return Paginator(pks, PAGE_SIZE).get_page(number)


class _Ordered:
    """The ids of all runs in order, in the form that a Paginator slices; `known` are the first ones.

    If nobody counted all, the slices end with those that were counted.
    """

    def __init__(self, runs, projects: list[int], keys: list[str], known: list[int], totals: ListTotals):
        self.runs, self.projects, self.keys, self.known, self.totals = runs, projects, keys, known, totals

    def __len__(self) -> int:
        return self.totals.listed

    def __getitem__(self, part: slice) -> list[int]:
        if part.stop <= len(self.known):
            return self.known[part]
        if self.totals.is_least or part.stop <= self.totals.runs / 2:
            return self._pks(self.keys, part.start, part.stop)
        # Nearer to the end: read from there, in reverse order.
        return self._pks([_turned(key) for key in self.keys], len(self) - part.stop, len(self) - part.start)[::-1]

    def _pks(self, keys: list[str], start: int, stop: int) -> list[int]:
        return [row[0] for row in _in_order(self.runs, self.projects, keys, stop)[start:]]


def _turned(key: str) -> str:
    return key.removeprefix("-") if key.startswith("-") else f"-{key}"


def _in_order(runs, projects: list[int], keys: list[str], stop: int, *columns: str):
    """Return the first `stop` rows of id, `columns` and sort values, in order.

    Indexes hold each project's runs by arrival, and its ended runs by other columns. Their union with the few
    unfinished ones is merged while it is read: a page only costs what comes before it. Sorting all runs together would
    read them all.
    """
    sorted_by = [key.removeprefix("-") for key in keys if key not in ("id", "-id")]
    rows = runs.order_by().values_list("id", *columns, *sorted_by)
    if 0 < len(projects) <= MOST_MERGED and sorted_by[0] in ("received_at", *SORTED_BY):
        of_each = [rows.filter(project=pk) for pk in projects]
        if sorted_by[0] in SORTED_BY:
            of_each = [*(part.ended() for part in of_each), rows.unfinished()]
        if connection.features.supports_slicing_ordering_in_compound:
            # PostgreSQL does not merge a union: it reads the beginning of each part. SQLite does, and can't be told to.
            of_each = [part.order_by(*keys)[:stop] for part in of_each]
        first, *others = of_each
        rows = first.union(*others, all=True) if others else rows
    return rows.order_by(*keys)[:stop]
