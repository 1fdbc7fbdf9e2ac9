"""Curves of a run: cumulative energy of each device over time, and what is read off them.

Cumulative counters make this simple: the energy of any span is a difference, and a lost sample costs detail only.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from runs.dashboards.charts import MOST_SERIES, Band, Chart, Series, Totals, heights
from runs.models import Device, Run, Stage
from runs.models.batch import Batch, Sample
from runs.templatetags import units
from traceml_agent import catalogue, estimation

#: Buckets of a chart: enough for a wide screen, few enough for its table.
MOST_POINTS = 300
#: A bucket of which less than this share was observed is a gap, not a low power.
LEAST_OBSERVED = 0.5
#: Batches keep whole milliseconds, the device's own last counters more.
STORED_TO_S = 0.001


class Point(NamedTuple):
    """Cumulative counters at a time since the run's start: seconds, observed seconds, joules."""

    at_s: float
    elapsed_s: float
    energy_j: float


class Span(NamedTuple):
    """A part of a run's time in seconds since its start, with the energy that all devices used in it."""

    start_s: float
    end_s: float
    energy_kwh: float

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s

    @property
    def mean_power_w(self) -> float:
        return estimation.J_PER_KWH * self.energy_kwh / self.seconds


class Curve(NamedTuple):
    device: Device
    points: list[Point]

    def at(self, at_s: float) -> tuple[float, float]:
        """Observed seconds and joules up to `at_s`, linear between samples."""
        index = bisect_right(self.points, at_s, key=lambda point: point.at_s)
        if index == 0:
            return 0.0, 0.0
        before = self.points[index - 1]
        if index == len(self.points):
            return before.elapsed_s, before.energy_j
        after = self.points[index]
        part = (at_s - before.at_s) / (after.at_s - before.at_s)
        return (
            before.elapsed_s + part * (after.elapsed_s - before.elapsed_s),
            before.energy_j + part * (after.energy_j - before.energy_j),
        )

    @property
    def energy_kwh(self) -> float:
        return estimation.energy_kwh(self.points[-1].energy_j)

    def energy_between_j(self, start_s: float, end_s: float) -> float:
        return self.at(end_s)[1] - self.at(start_s)[1]


def profile_of(device: Device) -> estimation.PowerProfile:
    """The profile that the device was estimated with: the portal's, or the agent's seed where that has none."""
    clues = {"memory_gb": device.memory_gb, "power_limit_w": device.power_limit_w}
    return device.profile or catalogue.profile_for(device.name, device.kind, **clues)


def curves(run: Run, devices: list[Device], batches: Iterable[Batch] | None = None) -> list[Curve]:
    """A curve for each counted device that reported at least once; from all batches of the run unless told."""
    samples = _samples(run.batches.defer("metrics") if batches is None else batches)
    found = (curve(run, device, samples[device.writer_id, device.key]) for device in devices if device.counted)
    return [each for each in found if len(each.points) > 1]


def _samples(batches) -> dict[tuple[int, str], list[Sample]]:
    """The samples of these batches by writer and device key."""
    samples: dict[tuple[int, str], list[Sample]] = defaultdict(list)
    for batch in batches:
        for key, rows in batch.samples().items():
            samples[batch.writer_id, key].extend(rows)
    return samples


def curve(run: Run, device: Device, samples: list[Sample]) -> Curve:
    """A device's samples as cumulative energy on the run's own clock.

    The final counters come with `finish`, in no batch, so the device's last ones close the curve.
    """
    offset_s = (device.writer.started_at - run.started_at).total_seconds()
    last = Sample(device.writer.last_t_s, device.elapsed_s, device.busy_s, device.energy_j)
    measured = device.basis in estimation.MEASURED
    profile = profile_of(device)
    points: list[Point] = []
    for sample in sorted([*samples, last], key=lambda sample: (sample.t_s, sample.elapsed_s)):
        if measured and sample.energy_j is None:
            continue  # the counter was not read yet; an estimate here would make a step
        if not points:
            points.append(Point(offset_s + sample.t_s - sample.elapsed_s, 0.0, 0.0))
        energy = estimation.device_energy(device.facts(*sample[1:]), profile)
        _extend(points, Point(offset_s + sample.t_s, sample.elapsed_s, energy.energy_j))
    return Curve(device, points)


def _extend(points: list[Point], point: Point) -> None:
    """Add a point that is news; one at the same instant takes the last one's place, as it is the more exact."""
    if point.elapsed_s < points[-1].elapsed_s - STORED_TO_S:
        return
    if point.at_s - points[-1].at_s <= STORED_TO_S:
        points.pop()
    points.append(point)


def mean_powers_w(curve: Curve, edges: list[float]) -> list[float | None]:
    """Mean power in W between each pair of edges; None where next to nothing was observed."""
    powers: list[float | None] = []
    for start_s, end_s in pairwise(edges):
        (elapsed_s, energy_j), (next_elapsed_s, next_energy_j) = curve.at(start_s), curve.at(end_s)
        observed_s = next_elapsed_s - elapsed_s
        is_gap = observed_s <= LEAST_OBSERVED * (end_s - start_s)
        powers.append(None if is_gap else (next_energy_j - energy_j) / observed_s)
    return powers


def end_of(curves: list[Curve]) -> float:
    """The time of the last sample since the run's start."""
    return max((curve.points[-1].at_s for curve in curves), default=0.0)


def span_between(curves: list[Curve], start_s: float, end_s: float) -> Span | None:
    """A part of the run as far as there are samples; None where nothing is left of it."""
    start_s, end_s = max(start_s, 0.0), min(end_s, end_of(curves))
    if end_s - start_s <= STORED_TO_S:
        return None
    energy_j = sum(curve.energy_between_j(start_s, end_s) for curve in curves)
    return Span(start_s, end_s, estimation.energy_kwh(energy_j))


def edges_of(curves: list[Curve], start_s: float = 0.0, end_s: float | None = None) -> list[float]:
    """Bucket edges of a part of the run (all of it unless told), no finer than the samples in it are."""
    end_s = end_of(curves) if end_s is None else end_s
    samples = (sum(start_s < point.at_s <= end_s for point in curve.points) for curve in curves)
    count = max(1, min(MOST_POINTS, max(samples)))
    return [start_s + (end_s - start_s) * index / count for index in range(count + 1)]


def power_lines(curves: list[Curve], edges: list[float], names: dict[int, str]) -> list[Series]:
    """Mean power between the edges, a line a device, or a kind of device where colours would run out."""
    return [
        Series(name, _together([mean_powers_w(curve, edges) for curve in group]))
        for name, group in _lines(curves, names)
    ]


def power_chart(
    curves: list[Curve], stages: list[Stage], names: dict[int, str], run: Run, span: Span | None = None
) -> Chart | None:
    """Power over time by device (many by kind), outermost stages as bands; None where nothing was sampled.

    With `span` it shows that part of the run, as finely as the samples allow.
    """
    if not curves:
        return None
    start_s, end_s = span[:2] if span else (0.0, end_of(curves))
    edges = edges_of(curves, start_s, end_s)
    lines = _lines(curves, names)
    series = power_lines(curves, edges, names)
    return Chart(
        id="power",
        title="Power over time",
        sentence=_sentence(len(curves), heights(series), end_s - start_s),
        quantity="power",
        axis="elapsed",
        labels=[(start + end) / 2 for start, end in pairwise(edges)],
        series=series,
        totals=Totals("energy", [_energy_kwh(group, span) for _, group in lines]),
        edges=edges,
        bands=[Band(stage.name, *span_of(run, stage)) for stage in stages if not stage.parent and stage.end_s],
    )


def _energy_kwh(curves: list[Curve], span: Span | None) -> float:
    if span is None:
        return sum(curve.energy_kwh for curve in curves)
    return estimation.energy_kwh(sum(curve.energy_between_j(*span[:2]) for curve in curves))


def span_of(run: Run, stage: Stage) -> tuple[float, float]:
    """A stage's start and end in seconds since the run's start; an open stage lasts until its writer's last sample."""
    offset_s = (stage.writer.started_at - run.started_at).total_seconds()
    end_s = stage.writer.last_t_s if stage.end_s is None else stage.end_s
    return offset_s + stage.start_s, offset_s + max(end_s, stage.start_s)


def _lines(curves: list[Curve], names: dict[int, str]) -> list[tuple[str, list[Curve]]]:
    """Which curves a line of the chart shows: one each, or all of a kind where colours would run out."""
    if len(curves) <= MOST_SERIES:
        return [(names[curve.device.pk], [curve]) for curve in curves]
    kinds: dict[str, list[Curve]] = defaultdict(list)
    for curve in curves:
        kinds[curve.device.get_kind_display()].append(curve)
    return [(f"{len(group)} × {kind}", group) for kind, group in kinds.items()]


def _together(powers: list[list[float | None]]) -> list[float | None]:
    """The sum at each instant; a gap only where none was observed."""
    known = ([power for power in at_once if power is not None] for at_once in zip(*powers, strict=True))
    return [sum(each) if each else None for each in known]


def _sentence(devices: int, totals: list[float], end_s: float) -> str:
    return (
        f"Mean power of {devices} device{'s' * (devices != 1)} over {units.text('elapsed', end_s)}: "
        f"{units.text('power', sum(totals) / len(totals))} on average, {units.text('power', max(totals))} at most."
    )
