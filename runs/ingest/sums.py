"""Exact daily totals: keeps what floating-point sums lose when something is subtracted, for when it is added again.

`x - d + d` is not always `x`; the difference is in the last digit, and small enough to be exact itself.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from runs.ingest.totals import UsageChanges
from runs.models import DailyUsage, MonthlyUsage, Project, ProjectUsage, Run, TaggedUsage, TrackedModel, Trashed
from runs.models.usage import AMOUNTS, Amounts
from runs.sql import writes

TABLES: dict[str, type[Amounts]] = {
    "daily": DailyUsage,
    "monthly": MonthlyUsage,
    "tagged": TaggedUsage,
    "project": ProjectUsage,
}
Rows = dict[tuple, dict[str, float]]


@contextmanager
def remainders(item: Trashed, runs: Iterable[Run] = (), model: TrackedModel | None = None) -> Iterator[None]:
    """Store with the item what the totals of its former project lose beyond the item's own amounts."""
    moved = _of_model(model) if model else _of_runs(runs)
    before = {name: _stored(TABLES[name], rows) for name, rows in moved.items()}
    yield
    for name, rows in moved.items():
        after = _stored(TABLES[name], rows)
        lost = {key: _lost(before[name].get(key, {}), after.get(key, {}), amounts) for key, amounts in rows.items()}
        item.remainders[name] = [[list(key), amounts] for key, amounts in lost.items() if amounts]


@contextmanager
def future_remainders(moved: dict[type[Amounts], Rows], found: dict[str, list]) -> Iterator[None]:
    """Put into `found` what rows that were there before will lose when the amounts added now are subtracted again."""
    before = {table: _stored(table, rows) for table, rows in moved.items()}
    yield
    names = {table: name for name, table in TABLES.items()}
    for table, rows in moved.items():
        there = {key: rows[key] for key in before[table]}
        after = _stored(table, there)
        lost = {key: _to_lose(before[table][key], after.get(key, {}), amounts) for key, amounts in there.items()}
        found[names[table]] = [[list(key), amounts] for key, amounts in lost.items() if amounts]


def _to_lose(before: dict[str, float], after: dict[str, float], added: dict[str, float]) -> dict[str, float]:
    lost = {}
    for name, amount in added.items():
        left = after.get(name, 0) - amount
        left = 0.0 if writes.is_residue(left, -amount) else left
        if rest := before.get(name, 0) - left:
            lost[name] = rest
    return lost


def give_back(remainders: dict[str, list]) -> None:
    """Add what was lost, after the amounts themselves have been moved."""
    for name, rows in remainders.items():
        lost = {tuple(key): amounts for key, amounts in rows}
        there = _stored(TABLES[name], lost)  # nothing for a row that is gone, as of a model whose key changed
        TABLES[name]._default_manager.add({key: amounts for key, amounts in lost.items() if key in there})


def move_days(model: TrackedModel, before: Project, after: Project) -> None:
    """Move a model's days from one project's totals to another's."""
    for key, amounts in _of_model(model)["project"].items():
        day = key[-1]
        ProjectUsage.objects.add({(before.pk, day): {name: -amount for name, amount in amounts.items()}})
        ProjectUsage.objects.add({(after.pk, day): amounts})


def _of_model(model: TrackedModel) -> dict[str, Rows]:
    """Return what the model contributes to the days of its project."""
    by_day: dict[str, list[tuple]] = {}
    for day, *amounts in DailyUsage.objects.filter(tracked_model=model).values_list("day", *AMOUNTS):
        by_day.setdefault(day.isoformat(), []).append(amounts)
    # As exact as possible, so that the result doesn't depend on the order of the rows.
    sums = {day: map(math.fsum, zip(*rows, strict=True)) for day, rows in by_day.items()}
    return {"project": {(model.project_id, day): dict(zip(AMOUNTS, sums[day], strict=True)) for day in sorted(sums)}}


def _of_runs(runs: Iterable[Run]) -> dict[str, Rows]:
    """Return what these runs contribute to the rows of the daily totals."""
    changes = UsageChanges()
    for run in runs:
        changes.repeat(run)
    names = {table: name for name, table in TABLES.items()}
    return {names[table]: dict(rows) for table, rows in changes.by_table().items()}


def _stored(table: type[Amounts], wanted: Rows) -> Rows:
    """Return those of the table's rows with these keys that exist."""
    if not wanted:
        return {}
    days = {key[table.KEY.index("day")] for key in wanted}
    projects = {key[table.KEY.index("project_id")] for key in wanted}
    found = {}
    for row in table._default_manager.filter(project__in=projects, day__in=days).values_list(*table.KEY, *AMOUNTS):
        key = tuple(value.isoformat() if hasattr(value, "isoformat") else value for value in row[: len(table.KEY)])
        if key in wanted:
            found[key] = dict(zip(AMOUNTS, row[len(table.KEY) :], strict=True))
    return found


def _lost(before: dict[str, float], after: dict[str, float], moved: dict[str, float]) -> dict[str, float]:
    lost = {}
    for name, amount in moved.items():
        rest = before.get(name, 0) - (after.get(name, 0) + amount)
        if rest:
            lost[name] = rest
    return lost
