"""Rebuild all totals from the facts while uploads continue; an upload waits for a few runs at most.

First all runs are recalculated, in small steps. Then the daily totals: one view of the database shows how much each row
differs from what the runs say they added, and this difference is subtracted. Uploads in the meantime change a run and
the rows by the same amounts, so the difference stays the same.
"""

from django.core.cache import cache
from django.db import transaction

from runs.ingest.folding.fold import fold_all
from runs.ingest.keeping import hold
from runs.ingest.totals import UsageChanges
from runs.jobs import reestimate
from runs.jobs.pace import Pace
from runs.models import Project, Run
from runs.models.usage import AMOUNTS, Amounts
from runs.sql import run_sums
from runs.sql.locks import one_view

#: Two rebuilds at once would subtract the same difference twice.
ALONE, ALONE_FOR_S = "rebuild_usage", 600
READ_AT_ONCE = 500
#: Sums of the same floating-point numbers in another order differ by less than this share.
SAME = 1e-12

Rows = dict[tuple, dict[str, float]]


class AlreadyAtWork(Exception):
    """Another rebuild is running, or was killed less than ALONE_FOR_S ago."""


def rebuild() -> int:
    """Rebuild all runs' totals and all daily totals; returns the number of runs. Raises AlreadyAtWork."""
    if not cache.add(ALONE, True, ALONE_FOR_S):
        raise AlreadyAtWork
    try:
        count = 0
        for project_id in list(Project.objects.order_by("pk").values_list("pk", flat=True)):
            fold_all(project_id)
            count += _recount(project_id)
            _correct(project_id)
        run_sums.rebuild()
        return count
    finally:
        cache.delete(ALONE)


def _recount(project_id: int) -> int:
    """Estimate the project's runs again with the current catalogue."""
    count, last, pace = 0, 0, Pace()
    mine = Run.objects.filter(project=project_id).order_by("pk").values_list("pk", flat=True)
    while pks := list(mine.filter(pk__gt=last)[: pace.size]):
        with pace.step():
            reestimate.redo(None, pks)
        count, last = count + len(pks), pks[-1]
        cache.touch(ALONE, ALONE_FOR_S)
    return count


def _correct(project_id: int) -> None:
    """Subtract the difference between the project's rows and what its runs added."""
    with one_view():
        wrong = {table: _differences(table, project_id, rows) for table, rows in _added(project_id).items()}
    for table, rows in wrong.items():
        keys, pace = sorted(rows), Pace()
        while keys:
            some, keys = keys[: pace.size], keys[pace.size :]
            with pace.step(), transaction.atomic():
                if hold([project_id]):
                    table.objects.add({key: rows[key] for key in some})
            cache.touch(ALONE, ALONE_FOR_S)


def _added(project_id: int) -> dict[type[Amounts], Rows]:
    """Return what the project's runs say they added, by table and key."""
    changes, last = UsageChanges(), 0
    mine = Run.objects.filter(project=project_id).order_by("pk")
    mine = mine.only("project_id", "tracked_model_id", "kind", "member_id", "tags", "usage")
    while runs := list(mine.filter(pk__gt=last)[:READ_AT_ONCE]):
        for run in runs:
            changes.repeat(run)
        last = runs[-1].pk
    return changes.by_table()


def _differences(table: type[Amounts], project_id: int, added: Rows) -> Rows:
    """Return what must be added to the table's rows to make them those sums; empty rows get nothing and are deleted."""
    found = {key: dict(amounts) for key, amounts in added.items()}
    rows = table._default_manager.filter(project=project_id).values_list(*table.KEY, *AMOUNTS)
    for row in rows:
        key = tuple(value.isoformat() if hasattr(value, "isoformat") else value for value in row[: len(table.KEY)])
        stored = dict(zip(AMOUNTS, row[len(table.KEY) :], strict=True))
        right = found.pop(key, {})
        missing = {name: right.get(name, 0) - amount for name, amount in stored.items()}
        if not any(stored.values()) or any(abs(missing[name]) > SAME * abs(right.get(name, 0)) for name in AMOUNTS):
            found[key] = missing
    return {key: amounts for key, amounts in found.items() if amounts}
