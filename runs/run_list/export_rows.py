"""Runs as plain rows for files; the unit is the last word of a column's name."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from django.db.models import Count

from runs.models import Metric, Run
from runs.models.metric import WORK
from runs.run_list.columns import exported_columns
from runs.run_list.page import hardware_of
from runs.selection.choices import Choices
from runs.selection.run_days import Days, used_of, with_used

READ_AT_ONCE = 500
#: The most metrics with columns of their own in a CSV; all others share one column.
MOST_METRICS = 100
OTHERS = "other_metrics"


def run_rows(pks: list[int], found: Choices, days: Days) -> Iterator[dict]:
    """Yield a row per run, in the order of `pks`, read a few hundred at a time: a large set is never in memory."""
    runs = Run.objects.select_related("tracked_model", "project__team", "factor").defer("environment", "usage")
    runs = with_used(runs, days) if days.are_set else runs
    for first in range(0, len(pks), READ_AT_ONCE):
        some = pks[first : first + READ_AT_ONCE]
        by_pk, hardware, metrics = runs.in_bulk(some), hardware_of(some), _metrics_of(some)
        for pk in some:
            if run := by_pk.get(pk):
                told = {"hardware": hardware.get(pk, ""), "run_by": found.members.name_of(run.member_id)}
                yield _run_row(run, told) | {"metrics": metrics[pk]} | _of_days(run, days)


def _of_days(run, days: Days) -> dict:
    if not days.are_set:
        return {}
    first, last = (day and day.isoformat() for day in days)
    used = used_of(run)
    amounts = {"used_energy_kwh": used.energy_kwh, "used_emissions_kg": used.emissions_kg}
    return {"used_from": first, "used_until": last} | amounts


def _metrics_of(pks: list[int]) -> dict[int, dict[str, dict]]:
    """Return what each run logged, by name."""
    found: dict[int, dict[str, dict]] = defaultdict(dict)
    for metric in Metric.objects.filter(run__in=pks).directed().order_by("pk"):
        found[metric.run_id][metric.name] = metric.figures
    return found


def metric_names(runs) -> list[str]:
    """Return the metrics that these runs logged, the most frequent first."""
    logged = Metric.objects.filter(run__in=runs.order_by().values("pk")).values("name").annotate(runs=Count("pk"))
    return list(logged.order_by("-runs", "name").values_list("name", flat=True))


def in_columns(rows: Iterable[dict], names: list[str]) -> Iterator[dict]:
    """Move the metrics of rows into columns: `loss.last` and `loss.best`, for work `samples.total`."""
    own = names[:MOST_METRICS]
    for row in rows:
        metrics = row["metrics"]
        cells = {f"{name}.{key}": metrics[name][key] for name in own if name in metrics for key in keys_of(name)}
        yield row | cells | {OTHERS: {name: metrics[name] for name in metrics if name not in own}}


def metric_columns(names: list[str]) -> list[str]:
    columns = [f"{name}.{key}" for name in names[:MOST_METRICS] for key in keys_of(name)]
    return columns + [OTHERS] * (len(names) > MOST_METRICS)


def keys_of(name: str) -> tuple[str, ...]:
    return ("total",) if name in WORK else ("last", "best")


def _run_row(run: Run, told: dict) -> dict:
    """Return the columns of a file from the run and from `told`."""
    told |= {
        "run_id": str(run.run_id),
        "project": run.project.name,
        "team": run.project.team.name,
        "model": run.tracked_model.name,
        "started_at": _iso(run.started_at),
        "ended_at": _iso(run.ended_at),
        "archived_at": _iso(run.archived_at),
        "factor_kg_per_kwh": run.factor.kg_per_kwh,
        "overlaps": [run_id for run_id, _ in run.overlaps],
    }
    columns = exported_columns(of_days=False)
    return {name: told[name] if name in told else getattr(run, name) for name in columns}


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
