"""Curves of a run: cumulative counters of each device over time, and figures derived from them.

Cumulative counters keep this simple: the energy of any span is a difference, and a lost sample only costs detail.
Samples stay columns of numbers from the batch to the chart, because a long run has a hundred thousand of them.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice, pairwise
from operator import itemgetter, le, lt, sub, truediv
from typing import NamedTuple

from runs.figures.charts import MOST_SERIES
from runs.models import Batch, Device, Run, Stage
from runs.models.batch import Sample
from traceml_agent import catalogue, estimation

#: Buckets of a chart: enough for a wide screen, few enough for its table.
MOST_POINTS = 300
#: With this many devices each still has its own line (more are grouped by kind), but with fewer points, so that the
#: page doesn't get larger.
MANY_LINES = range(5, MOST_SERIES + 1)
#: A bucket that was observed for less than this share is a gap, not low power.
LEAST_OBSERVED = 0.5
#: Batches keep whole milliseconds; the device's own last counters are more precise.
STORED_TO_S = 0.001
#: Devices are read one after the other: samples this close together are one reading of all devices.
AT_ONCE_S = 0.1


class Counters(NamedTuple):
    """Cumulative counters at an instant: observed seconds, busy seconds, joules."""

    elapsed_s: float
    busy_s: float
    energy_j: float


class Span(NamedTuple):
    """A part of a run's time in seconds since its start, with the energy that all devices used in it.

    During `at_work_s` of it a process of the run was active; as in the run's duration, pauses between attempts don't
    count.
    """

    start_s: float
    end_s: float
    energy_kwh: float
    at_work_s: float

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s

    @property
    def mean_power_w(self) -> float:
        return estimation.mean_power_w(self.energy_kwh, self.at_work_s)


@dataclass(frozen=True)
class Curve:
    """A device's counters at the times of its samples, in seconds since the run's start.

    For a device that reports no utilisation `busy_s` is all of the time, as in its estimate, and never shown.
    """

    device: Device
    at_s: list[float]
    elapsed_s: list[float]
    busy_s: list[float]
    energy_j: list[float]
    #: When its writer began.
    offset_s: float = 0.0

    def at(self, at_s: float) -> Counters:
        """Return the counters at `at_s`, interpolated linearly between samples."""
        index = bisect_right(self.at_s, at_s)
        if index == 0:
            return Counters(0.0, 0.0, 0.0)
        if index == len(self.at_s):
            return Counters(self.elapsed_s[-1], self.busy_s[-1], self.energy_j[-1])
        before_s = self.at_s[index - 1]
        part = (at_s - before_s) / (self.at_s[index] - before_s)
        return Counters(
            self.elapsed_s[index - 1] + part * (self.elapsed_s[index] - self.elapsed_s[index - 1]),
            self.busy_s[index - 1] + part * (self.busy_s[index] - self.busy_s[index - 1]),
            self.energy_j[index - 1] + part * (self.energy_j[index] - self.energy_j[index - 1]),
        )

    @property
    def end_s(self) -> float:
        return self.at_s[-1]

    @property
    def energy_kwh(self) -> float:
        return estimation.energy_kwh(self.energy_j[-1])

    @property
    def most_power_w(self) -> float:
        """The highest mean power between two samples, W; the device's overall mean if the intervals were too short."""
        return max(self.device.mean_power_w, *(power for power in self.powers_w if power is not None), 0.0)

    def samples_between(self, start_s: float, end_s: float) -> int:
        return bisect_right(self.at_s, end_s) - bisect_right(self.at_s, start_s)

    def energy_between_j(self, start_s: float, end_s: float) -> float:
        return self.at(end_s).energy_j - self.at(start_s).energy_j

    @property
    def tells_utilisation(self) -> bool:
        return self.device.busy_s is not None

    @cached_property
    def powers_w(self) -> list[float | None]:
        """Mean power between consecutive samples, W."""
        return self._rates(self.energy_j)

    @cached_property
    def utilisations(self) -> list[float | None]:
        """Mean utilisation between consecutive samples; None if the device doesn't report it."""
        return self._rates(self.busy_s) if self.tells_utilisation else [None] * len(self._observed_s)

    @cached_property
    def _observed_s(self) -> list[float]:
        return _differences(self.elapsed_s)

    def _rates(self, column: list[float]) -> list[float | None]:
        """Return the growth of a counter per observed second; None if nothing was observed."""
        observed, grown = self._observed_s, _differences(column)
        if min(observed) > STORED_TO_S:
            return list(map(truediv, grown, observed))
        return [
            each / seconds if seconds > STORED_TO_S else None for each, seconds in zip(grown, observed, strict=True)
        ]


def _differences(column: list[float]) -> list[float]:
    return list(map(sub, islice(column, 1, None), column))


def profile_of(device: Device) -> estimation.PowerProfile:
    """Return the profile that the device was estimated with: the portal's, or else that of the agent's seed data."""
    clues = {"memory_gb": device.memory_gb, "power_limit_w": device.power_limit_w}
    return device.profile or catalogue.profile_for(device.name, device.kind, **clues)


def curves(run: Run, devices: list[Device], batches: Iterable[Batch] | None = None) -> list[Curve]:
    """Return a curve for each counted device that ever reported, from these batches or all batches of the run."""
    samples = _samples(run.batches.defer("metrics") if batches is None else batches)
    found = (curve(run, device, samples[device.writer_id, device.key]) for device in devices if device.counted)
    return [each for each in found if len(each.at_s) > 1]


def _samples(batches: Iterable[Batch]) -> dict[tuple[int, str], list[list]]:
    """Return columns of samples by writer and device key."""
    samples: dict[tuple[int, str], list[list]] = defaultdict(lambda: [[], [], [], []])
    for batch in sorted(batches, key=lambda batch: batch.first_t_s or 0.0):
        for key, columns in batch.columns().items():
            for all_of, column in zip(samples[batch.writer_id, key], columns, strict=True):
                all_of.extend(column)
    return samples


def curve(run: Run, device: Device, columns: list[list]) -> Curve:
    """Return a device's samples as counters on the run's clock; `columns` are Sample's fields.

    Batches keep whole milliseconds and millijoules, so the device's exact last counters are added as the last point.
    """
    last = Sample(device.writer.last_t_s, device.elapsed_s, device.busy_s, device.energy_j)
    measured = device.basis in estimation.MEASURED
    t_s, elapsed_s, busy_s, energy_j = _in_order(columns, last, measured)
    if not t_s:
        return Curve(device, [], [], [], [])
    if None in busy_s:
        rate = 1.0 if device.utilisation is None else device.utilisation
        busy_s = [elapsed * rate if busy is None else busy for elapsed, busy in zip(elapsed_s, busy_s, strict=True)]
    if not measured:
        energy_j = _estimated_j(device, elapsed_s, busy_s)
    offset_s = run.seconds_to(device.writer.started_at)
    began_s = offset_s + t_s[0] - elapsed_s[0]
    at_s = [began_s, *[offset_s + each for each in t_s]]
    return Curve(device, at_s, [0.0, *elapsed_s], [0.0, *busy_s], [0.0, *energy_j], offset_s)


def _estimated_j(device: Device, elapsed_s: list[float], busy_s: list[float]) -> list[float]:
    profile = profile_of(device)
    idle_w, full_load_w = estimation.idle_power_w(profile), estimation.full_load_power_w(profile)
    held = estimation.units_held(device.last_facts(), profile)
    mine = device.held_share  # share of the time when several jobs used it: batches don't keep its course
    return [
        estimation.estimated_energy_j(idle_w, full_load_w, mine * elapsed, busy, held)
        for elapsed, busy in zip(elapsed_s, busy_s, strict=True)
    ]


def _in_order(columns: list[list], last: Sample, measured: bool) -> list[list]:
    """Sort columns by time, append the last counters, and drop repeated samples, in place."""
    t_s, elapsed_s, _, energy_j = columns
    ordered = all(map(lt, t_s, islice(t_s, 1, None))) and all(map(le, elapsed_s, islice(elapsed_s, 1, None)))
    # Skip counters that were not read yet: an estimate in their place would make a step.
    if t_s and ordered and not (measured and None in energy_j):
        rows: list = [tuple(column.pop() for column in columns)]
    else:
        rows = [row for row in zip(*columns, strict=True) if not (measured and row[3] is None)]
        columns = [[], [], [], []]
    news: list = []
    for row in sorted([*rows, last], key=lambda row: row[:2]):
        if not (measured and row[3] is None):
            _extend(news, row)
    for column, added in zip(columns, zip(*news, strict=True), strict=False):
        column.extend(added)
    return columns


def _extend(rows: list, row: tuple) -> None:
    """Add a sample if it is new; at the same instant it replaces the previous one, because it is more exact."""
    if rows and row[1] < rows[-1][1] - STORED_TO_S:
        return
    if rows and row[0] - rows[-1][0] <= STORED_TO_S:
        rows.pop()
    rows.append(row)


def end_of(curves: list[Curve]) -> float:
    """Return the time of the last sample since the run's start."""
    return max((curve.end_s for curve in curves), default=0.0)


def energy_until_j(curves: list[Curve], at_s: float) -> float:
    """Return the energy (J) of all devices up to a time since the run's start."""
    return sum(curve.at(at_s).energy_j for curve in curves)


def span_between(curves: list[Curve], start_s: float, end_s: float) -> Span | None:
    """Return a part of the run, clipped to its samples; None if nothing is left."""
    start_s, end_s = max(start_s, 0.0), min(end_s, end_of(curves))
    if end_s - start_s <= STORED_TO_S:
        return None
    energy_j = energy_until_j(curves, end_s) - energy_until_j(curves, start_s)
    return Span(start_s, end_s, estimation.energy_kwh(energy_j), _at_work_s(curves, start_s, end_s))


def _at_work_s(curves: list[Curve], start_s: float, end_s: float) -> float:
    """Return the seconds of a part during which at least one writer was active."""
    writers = sorted({(curve.offset_s, curve.offset_s + curve.device.writer.last_t_s) for curve in curves})
    covered_s, until_s = 0.0, start_s
    for began_s, ended_s in writers:
        covered_s += max(min(ended_s, end_s) - max(began_s, until_s), 0.0)
        until_s = max(until_s, min(ended_s, end_s))
    return covered_s


def most_power_w(curves: list[Curve], start_s: float, end_s: float) -> float:
    """Return the highest power (W) of all devices together; each has its mean between two of its samples.

    Power changes at samples: these instants of all devices are sorted, and the changes are added up in that order.
    """
    changes: list[tuple[float, float]] = []
    for curve in curves:
        first = max(bisect_right(curve.at_s, start_s) - 1, 0)
        last = min(bisect_left(curve.at_s, end_s), len(curve.at_s) - 1)
        powers = [0.0, *(power or 0.0 for power in curve.powers_w[first:last]), 0.0]
        changes += zip(curve.at_s[first : last + 1], _differences(powers), strict=True)
    changes.sort()
    # At one instant some devices rise and others fall: the sum is only valid after all of them have changed.
    sums = accumulate(map(itemgetter(1), changes))
    levels = dict(zip(map(itemgetter(0), changes), sums, strict=True))
    lasted_s = map(sub, islice(levels, 1, None), levels)
    lasted = zip(levels.values(), lasted_s, strict=False)
    return max((power for power, seconds in lasted if seconds > AT_ONCE_S), default=0.0)


def utilisation_of(curves: list[Curve], start_s: float, end_s: float) -> tuple[float | None, float | None]:
    """Return the devices' mean utilisation in a part of the run, and the highest of one between two samples."""
    ends = [(curve.at(start_s), curve.at(end_s)) for curve in curves]
    observed_s = sum(after.elapsed_s - before.elapsed_s for before, after in ends)
    busy_s = sum(after.busy_s - before.busy_s for before, after in ends)
    highest = (extremes(curve, curve.utilisations, [start_s, end_s])[0] for curve in curves)
    most = max((each[1] for each in highest if each), default=None)
    mean = min(busy_s / observed_s, 1.0) if observed_s > 0 else None
    return mean, None if most is None or mean is None else max(min(most, 1.0), mean)


def span_of(run: Run, stage: Stage) -> tuple[float, float]:
    """Return a stage's start and end in seconds of the run; an open stage lasts until its writer's last sample."""
    offset_s = run.seconds_to(stage.writer.started_at)
    end_s = stage.writer.last_t_s if stage.end_s is None else stage.end_s
    return offset_s + stage.start_s, offset_s + max(end_s, stage.start_s)


def edges_of(curves: list[Curve], start_s: float = 0.0, end_s: float | None = None) -> list[float]:
    """Return bucket edges of a part of the run (by default all of it), no finer than its samples."""
    end_s = end_of(curves) if end_s is None else end_s
    most = MOST_POINTS if len(curves) not in MANY_LINES else MOST_POINTS // 2
    count = max(1, min(most, max(curve.samples_between(start_s, end_s) for curve in curves)))
    return [start_s + (end_s - start_s) * index / count for index in range(count + 1)]


class Buckets(NamedTuple):
    """Joules up to each edge; mean power in W and utilisation between edges, None if almost nothing was observed."""

    energy_j: list[float]
    power_w: list[float | None]
    utilisation: list[float | None]


def buckets(curve: Curve, edges: list[float]) -> Buckets:
    counters = [curve.at(edge) for edge in edges]
    found = Buckets([each.energy_j for each in counters], [], [])
    for (start_s, end_s), (before, after) in zip(pairwise(edges), pairwise(counters), strict=True):
        observed_s = after.elapsed_s - before.elapsed_s
        # Don't divide by less than the stored precision; a writer that began before its run also ends before it.
        is_gap = observed_s <= max(LEAST_OBSERVED * (end_s - start_s), STORED_TO_S / 2)
        found.power_w.append(None if is_gap else (after.energy_j - before.energy_j) / observed_s)
        is_known = curve.tells_utilisation and not is_gap
        found.utilisation.append((after.busy_s - before.busy_s) / observed_s if is_known else None)
    return found


def extremes(curve: Curve, rates: list[float | None], edges: list[float]) -> list[tuple[float, float] | None]:
    """Return the lowest and highest of `rates`, one between consecutive samples, in each bucket; None in gaps."""
    found: list[tuple[float, float] | None] = []
    for start_s, end_s in pairwise(edges):
        first = max(bisect_right(curve.at_s, start_s) - 1, 0)
        known = [rate for rate in rates[first : bisect_left(curve.at_s, end_s)] if rate is not None]
        found.append((min(known), max(known)) if known else None)
    return found
