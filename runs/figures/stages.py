"""The stages of a run: their time, their energy, and the metrics logged during them."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from runs.figures.curves import Curve, energies_until_j, span_of
from runs.models import Batch, Run, RunCurve, Stage
from runs.models.metric import WORK
from traceml_agent import estimation

METRICS_SHOWN = 6
DEEPEST = 3
#: A metric logged this soon after a stage is its result, if no other stage began or ended in between.
RESULTS_WITHIN_S = 1.0
_time = itemgetter(0)


class StageRow(NamedTuple):
    """A stage with its position in seconds of the run, its energy, and the last value of each of its metrics."""

    stage: Stage
    depth: int
    start_s: float
    end_s: float
    energy_kwh: float | None
    logged: list[tuple[str, float | None]]

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def part(self) -> str:
        """Its position for the page's address."""
        return f"start={self.start_s:.10g}&end={self.end_s:.10g}"

    @property
    def mean_power_w(self) -> float | None:
        if self.energy_kwh is None or self.duration_s <= 0:
            return None
        return estimation.mean_power_w(self.energy_kwh, self.duration_s)


def metrics_of(batches: list[Batch], kept: RunCurve | None = None) -> dict[int, list]:
    """Return logged metrics by writer, in chronological order: of these batches, and what is kept of earlier ones."""
    by_writer: dict[int, list] = defaultdict(list, kept.metrics() if kept else {})
    for batch in batches:
        by_writer[batch.writer_id].extend(batch.metrics)
    for rows in by_writer.values():
        rows.sort(key=_time)
    return by_writer


def stage_rows(
    run: Run, stages: Sequence[Stage], known: list[Curve], metrics: dict[int, list], named: Sequence | None = None
) -> list[StageRow]:
    """Return each stage with the energy of its interval on all devices: ranks and hosts work on it together.

    `named` are the stages in which they may be nested, if those are not all among them.
    """
    moments = _moments(stages)
    logged = {
        stage.pk: _metrics_of(metrics.get(stage.writer_id, []), stage, moments[stage.writer_id]) for stage in stages
    }
    names = list(dict.fromkeys(name for values in logged.values() for name in values))[:METRICS_SHOWN]
    depths = _depths(stages if named is None else named)
    rows = []
    spans = [span_of(run, stage) for stage in stages]
    before_j, after_j = (energies_until_j(known, ends_s) for ends_s in ([s for s, _ in spans], [e for _, e in spans]))
    for stage, (start_s, end_s), before, after in zip(stages, spans, before_j, after_j, strict=True):
        energy_kwh = estimation.energy_kwh(after - before) if known else None
        values = [(name, logged[stage.pk].get(name)) for name in names]
        rows.append(StageRow(stage, depths[stage.pk], start_s, end_s, energy_kwh, values))
    return rows


def _depths(stages: Sequence) -> dict[int, int]:
    """Return how deep each stage is nested; parents never start after their children, so one pass is enough."""
    by_key: dict[tuple[int, str], int] = {}
    depths = {}
    for stage in stages:
        parent = by_key.get((stage.writer_id, stage.parent), -1) if stage.parent else -1
        depths[stage.pk] = by_key[stage.writer_id, stage.key] = min(parent + 1, DEEPEST)
    return depths


def _moments(stages: Sequence[Stage]) -> dict[int, list[float]]:
    """Return when stages began or ended, by writer, in chronological order."""
    moments: dict[int, list[float]] = {}
    for stage in stages:
        ends = [] if stage.end_s is None else [stage.end_s]
        moments.setdefault(stage.writer_id, []).extend([stage.start_s, *ends])
    return {writer: sorted(times) for writer, times in moments.items()}


def _metrics_of(metrics: list, stage: Stage, moments: list[float]) -> dict[str, float]:
    """Return the last value of each metric logged during a stage or as its result; amounts of work are left out."""
    until_s = float("inf")
    if stage.end_s is not None:
        following = moments[bisect_right(moments, stage.end_s) :][:1]
        until_s = min([stage.end_s + RESULTS_WITHIN_S, *following])
    rows = metrics[bisect_left(metrics, stage.start_s, key=_time) : bisect_left(metrics, until_s, key=_time)]
    return {name: value for _, name, value in rows if name not in WORK}
