"""Which runs a filter may leave, found by an index made for it, so that few matches among a million cost little.

The filters themselves decide (`runs.selection.run_filters`): an index only says where to look.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models.expressions import RawSQL

from runs.models import Device, Run, TrackedModel
from runs.selection.choices import Members, member_ids
from runs.selection.run_filters import (
    LOOKS_LIKE_AN_ID,
    RunFilters,
    asked_items,
    key_values,
    of_name,
    parsed,
    profiles,
)
from runs.sql import words

#: More than so many runs are not looked up one by one, nor counted.
MOST_FOUND = 10_000
#: The most hardware profiles that are looked up one by one.
MOST_CARDS = 50


class Found(NamedTuple):
    """The ids that an index found, as a subquery, and how many: None if there are more than MOST_FOUND. If they are
    `whole`, no other filter leaves fewer."""

    pks: RawSQL
    number: int | None
    whole: bool = False


def narrowest(projects: Sequence[int], filters: RunFilters, members: Members) -> Found | None:
    """Return the first of the filters' finds that is small, or else one that is not; None if no index finds any."""
    found = None
    if projects and words.are_kept():
        for queries in _finds(projects, filters, members):
            found = _found(queries)
            if found.number is not None:
                break
    others = filters.names_set - {"project", "archived"}
    return found and found._replace(whole=len(others) == 1)


def _found(queries: Iterable) -> Found:
    """Return what any of these queries for ids finds."""
    parts: list[str] = []
    params: list = []
    for query in queries:
        try:
            sql, values = (query.sql, query.params) if isinstance(query, RawSQL) else query.query.sql_with_params()
        except EmptyResultSet:
            continue
        parts.append(f"SELECT * FROM ({sql} LIMIT {MOST_FOUND + 1}) AS found")  # noqa: S608 (SQL of ours)
        params += values
    if not parts:
        return Found(RawSQL("SELECT id FROM runs_run WHERE false", []), 0)
    both = " UNION ".join(parts)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM ({both}) AS found", params)  # noqa: S608
        (number,) = cursor.fetchone()
    return Found(RawSQL(both, params), number if number <= MOST_FOUND else None)  # noqa: S611 (SQL of ours)


def _finds(projects: Sequence[int], filters: RunFilters, members: Members) -> Iterator[list]:
    """Return for each filter the queries that together find its runs, the filters that leave few first."""
    within = words.scopes(projects, filters.archived)
    runs = Run.objects.filter(project__in=projects).order_by().values("pk")
    states = [filters.state] if filters.state in Run.Status.values else Run.Status.values
    of_kind = Run.objects.filter(kind__in=[filters.kind] if filters.kind else Run.Kind.values, status__in=states)
    if filters.search:
        yield from _searches(runs, projects, filters.search, within, members)
    if filters.model:
        project, _, slug = filters.model.partition("/")
        asked = TrackedModel.objects.filter(slug=slug, project__slug=project).values("pk")
        # Kind and status are in the index, so failed ones are found without the others.
        yield [of_kind.filter(tracked_model__in=asked).order_by().values("pk")]
    for key, value in asked_items(filters.param).items():
        yield [words.with_param(key, [value], within)]
    if filters.tag:
        yield [words.tagged(filters.tag, within)]
    if filters.main_hardware:
        yield [words.on_hardware(filters.main_hardware, within)]
    if filters.hardware:
        # One profile after the other, so that an index gives each one's runs once, in order, and ends at the limit.
        devices = Device.objects.filter(project__in=projects).order_by("run").values("run").distinct()
        cards = list(profiles(filters.hardware).values_list("pk", flat=True)[: MOST_CARDS + 1]) or [0]
        each = [devices.filter(profile=card) for card in cards]
        yield each if len(cards) <= MOST_CARDS else [devices.filter(profile__in=profiles(filters.hardware))]
    if filters.exception:
        yield [runs.filter(exception=filters.exception).exclude(exception="")]
    if filters.kind or filters.state in Run.Status.values or filters.member:
        found = of_kind.filter(project__in=projects).order_by().values("pk")
        yield [found.filter(member_id__in=member_ids(filters.member)) if filters.member else found]
    if filters.over is not None:
        most = Run.objects.filter(project__in=projects, energy_kwh__gt=filters.over).order_by()
        yield [most.ended().values("pk"), most.unfinished().values("pk")]


def _searches(runs, projects, text: str, within: Sequence[str], members: Members) -> Iterator[list]:
    """Return the queries that together find what a search finds, unless no index can: of short texts."""
    names = words.named(text, within)
    if names is None:
        return
    models = TrackedModel.objects.filter(of_name(text), project__in=projects).values("pk")
    queries = [names, words.tagged(text, within), Run.objects.filter(tracked_model__in=models).order_by().values("pk")]
    if LOOKS_LIKE_AN_ID.fullmatch(text) and len(digits := text.replace("-", "")) <= 32:
        first, last = (UUID(digits.ljust(32, digit)) for digit in "0f")
        queries.append(runs.filter(run_id__range=(first, last)))
    if called := members.called(text):
        queries.append(runs.filter(kind__in=Run.Kind.values, status__in=Run.Status.values, member_id__in=called))
    for key, value in key_values(text):
        queries.append(words.with_param(key, [value, *parsed(value)], within))
    yield queries
