"""Logged metrics on a run's page: figures, values over time, and useful work."""

from collections import Counter
from operator import itemgetter
from typing import NamedTuple

from runs.figures.curves import Curve
from runs.models import Metric, Run, Writer
from runs.models.metric import WORK
from runs.run_page.learning import Learned, MetricPoint, learned

_time = itemgetter(0)


class WorkRow(NamedTuple):
    """Useful work that the run logged, and its energy (kWh) per 1,000 units."""

    name: str
    amount: float
    kwh_per_1000: float


def curves_offered(metrics: dict[int, list]) -> list[str]:
    """Return the metrics that a run logged more than once, in the order of their first values."""
    counts = Counter(name for rows in metrics.values() for _, name, _ in rows if name not in WORK)
    return [name for name, count in counts.items() if count > 1]


def figures_of(metrics: list[Metric], asked: str, better: str) -> list[Metric]:
    """Return the metrics except work; `better` overrides the direction of the metric `asked`."""
    found = [metric for metric in metrics if not metric.is_work]
    for metric in found:
        if better and metric.name == asked:
            metric.chosen = better == "lower"
    return found


def learned_of(
    run: Run,
    known: list[Curve],
    logged: dict[int, list],
    writers: dict[int, Writer],
    names: list[str],
    figures: list[Metric],
    asked: str,
) -> Learned | None:
    """Return energy against the selected metric, or else the first."""
    lower = {metric.name: metric.lower for metric in figures}
    # A run keeps a hundred names; for any others there are values in its batches but no figures.
    offered = [name for name in names if name in lower]
    name = asked if asked in offered else next(iter(offered), "")
    return learned(known, logged_of(run, logged, writers, name), name, lower[name]) if name else None


def logged_of(run: Run, metrics: dict[int, list], writers: dict[int, Writer], name: str) -> list[MetricPoint]:
    """Return the values of one metric on the run's own clock, in chronological order."""
    found = []
    for writer_id, rows in metrics.items():
        offset_s = run.seconds_to(writers[writer_id].started_at)
        found += [(offset_s + t_s, value) for t_s, logged, value in rows if logged == name]
    return [MetricPoint(*each) for each in sorted(found, key=_time)]


def work_rows(run: Run, metrics: list[Metric]) -> list[WorkRow]:
    """Return the samples and tokens that the run logged, added up over all writers."""
    work = [metric for metric in metrics if metric.is_work and metric.total > 0]
    return [WorkRow(each.name, each.total, 1000 * run.energy_kwh / each.total) for each in work]
