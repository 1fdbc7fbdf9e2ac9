"""Daily totals to the last digit: what floating-point sums lose when something leaves them, kept for its return.

`x - d` and back is not always `x`; the difference is a number of the last digit, and small enough to be exact itself.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from runs.ingest.totals import UsageChanges
from runs.models import DailyUsage, Project, ProjectUsage, Run, TaggedUsage, TrackedModel, Trashed
from runs.models.usage import AMOUNTS, Amounts

TABLES: dict[str, type[Amounts]] = {"daily": DailyUsage, "tagged": TaggedUsage, "project": ProjectUsage}
Rows = dict[tuple, dict[str, float]]


@contextmanager
def remainders(item: Trashed, runs: Iterable[Run] = (), model: TrackedModel | None = None) -> Iterator[None]:
    """Keep with the item what the totals of its former project lose beyond what it takes along."""
    moved = _of_model(model) if model else _of_runs(runs)
    before = {name: _stored(TABLES[name], rows) for name, rows in moved.items()}
    yield
    for name, rows in moved.items():
        after = _stored(TABLES[name], rows)
        lost = {key: _lost(before[name].get(key, {}), after.get(key, {}), amounts) for key, amounts in rows.items()}
        item.remainders[name] = [[list(key), amounts] for key, amounts in lost.items() if amounts]


def give_back(item: Trashed) -> None:
    """Add what was lost, once the item's own amounts are back."""
    for name, rows in item.remainders.items():
        lost = {tuple(key): amounts for key, amounts in rows}
        there = _stored(TABLES[name], lost)  # a row that is gone, as of a model that has another key now, gets nothing
        TABLES[name]._default_manager.add({key: amounts for key, amounts in lost.items() if key in there})


def move_days(model: TrackedModel, before: Project, after: Project) -> None:
    """Take a model's days out of one project's totals and add them to another's."""
    for key, amounts in _of_model(model)["project"].items():
        day = key[-1]
        ProjectUsage.objects.add({(before.pk, day): {name: -amount for name, amount in amounts.items()}})
        ProjectUsage.objects.add({(after.pk, day): amounts})


def _of_model(model: TrackedModel) -> dict[str, Rows]:
    """What the days of the model's project have from it."""
    by_day: dict[str, list[tuple]] = {}
    for day, *amounts in DailyUsage.objects.filter(tracked_model=model).values_list("day", *AMOUNTS):
        by_day.setdefault(day.isoformat(), []).append(amounts)
    # As exact as can be, so that the same comes out in whatever order the rows are read.
    sums = {day: map(math.fsum, zip(*rows, strict=True)) for day, rows in by_day.items()}
    return {"project": {(model.project_id, day): dict(zip(AMOUNTS, sums[day], strict=True)) for day in sorted(sums)}}


def _of_runs(runs: Iterable[Run]) -> dict[str, Rows]:
    """What the rows of the daily totals have from these runs."""
    changes = UsageChanges()
    for run in runs:
        changes.repeat(run)
    names = {table: name for name, table in TABLES.items()}
    return {names[table]: dict(rows) for table, rows in changes.by_table().items()}


def _stored(table: type[Amounts], wanted: Rows) -> Rows:
    """The table's rows of these keys, as far as they are there."""
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
