"""Logged metrics, summarised by run and name while a batch is stored."""

from collections import Counter
from datetime import timedelta

from runs.ingest.bodies import MetricBody
from runs.left_out import LeftOut, added_up
from runs.models import Metric, Run, Writer
from traceml_agent.limits import MAX_METRIC_NAMES

VALUES = ("last", "last_at", "lowest", "highest", "total", "count")


def take_in(run: Run, writer: Writer, metrics: list[MetricBody]) -> None:
    """Update the run's metrics with the values of a new batch. The run's lock is held, and a batch is only passed once.

    Values that exceed the run's limit on names are counted on it.
    """
    if not metrics:
        return
    refused: Counter[str] = Counter()
    known = {metric.name: metric for metric in run.metrics.all()}
    for logged in metrics:
        at = writer.started_at + timedelta(seconds=logged["t_s"])
        if metric := known.get(logged["name"]) or _new(run, known, logged, at):
            metric.take(at, logged["value"])
        else:
            refused[logged["name"]] += 1
    changed = [known[name] for name in dict.fromkeys(logged["name"] for logged in metrics) if name in known]
    Metric.objects.bulk_update([metric for metric in changed if metric.pk], VALUES)
    Metric.objects.bulk_create([metric for metric in changed if not metric.pk])
    reason = f"a run keeps at most {MAX_METRIC_NAMES} metrics"
    rows = [LeftOut(what=f"metric '{name}'", reason=reason, count=count) for name, count in refused.items()]
    run.left_out = added_up(run.left_out, rows)


def _new(run: Run, known: dict[str, Metric], logged: MetricBody, at) -> Metric | None:
    """Return a metric of this name without values; None if the run has reached its limit."""
    if len(known) >= MAX_METRIC_NAMES:
        return None
    value, name = logged["value"], logged["name"]
    about = {"project_id": run.project_id, "run": run, "name": name}
    known[name] = Metric(last=value, last_at=at, lowest=value, highest=value, count=0, **about)
    return known[name]
