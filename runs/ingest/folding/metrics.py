"""Logged metrics, summarised by run and name while a batch is stored."""

from collections import Counter
from datetime import timedelta

from runs.left_out import LeftOut, added_up
from runs.models import Metric, Run, Writer
from traceml_agent.limits import MAX_METRIC_NAMES

VALUES = ("last", "last_at", "lowest", "highest", "total", "count")


def take_in(run: Run, writer: Writer, logged: list[tuple[float, str, float]]) -> None:
    """Update the run's metrics with the values of a new batch: the writer's seconds, name, and value of each.

    The run's lock is held, and a batch is only passed once.

    Values that exceed the run's limit on names are counted on it.
    """
    if not logged:
        return
    refused: Counter[str] = Counter()
    known = {metric.name: metric for metric in run.metrics.all()}
    for t_s, name, value in logged:
        at = writer.started_at + timedelta(seconds=t_s)
        if metric := known.get(name) or _new(run, known, name, value, at):
            metric.take(at, value)
        else:
            refused[name] += 1
    changed = [known[name] for name in dict.fromkeys(name for _, name, _ in logged) if name in known]
    Metric.objects.bulk_update([metric for metric in changed if metric.pk], VALUES)
    Metric.objects.bulk_create([metric for metric in changed if not metric.pk])
    reason = f"a run keeps at most {MAX_METRIC_NAMES} metrics"
    rows = [LeftOut(what=f"metric '{name}'", reason=reason, count=count) for name, count in refused.items()]
    run.left_out = added_up(run.left_out, rows)


def _new(run: Run, known: dict[str, Metric], name: str, value: float, at) -> Metric | None:
    """Return a metric of this name without values; None if the run has reached its limit."""
    if len(known) >= MAX_METRIC_NAMES:
        return None
    about = {"project_id": run.project_id, "run": run, "name": name}
    known[name] = Metric(last=value, last_at=at, lowest=value, highest=value, count=0, **about)
    return known[name]
