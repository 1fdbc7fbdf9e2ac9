"""Curves of a run: cumulative counters of each device over time, and figures derived from them.

Cumulative counters keep this simple: the energy of any span is a difference, and a lost sample only costs detail.
Samples stay columns of numbers from the batch to the chart, because a long run has a hundred thousand of them.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from operator import le, lt, sub, truediv
from typing import NamedTuple

from runs.models import Batch, Device, Run, RunCurve, Stage
from runs.models.batch import Sample
from runs.models.run_curve import KeptSamples
from traceml_agent import catalogue, estimation

#: Batches keep whole milliseconds; the device's own last counters are more precise.
STORED_TO_S = 0.001


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


class Rates(NamedTuple):
    """Rates between consecutive samples, and their bounds, which only differ where samples were left out."""

    means: Sequence[float | None]
    lows: Sequence[float | None]
    highs: Sequence[float | None]


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
    #: Between consecutive samples, the lowest and highest utilisation and power of the samples that were left out;
    #: None if none was, empty if that is so everywhere.
    bounds: list[tuple | None] = field(default_factory=list)

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

    def along(self, moments_s: Sequence[float]) -> list[list[float]]:
        """Return the same at many moments, as columns: an object for each moment takes longer than the sums."""
        return self._interpolated(moments_s, self.elapsed_s, self.busy_s, self.energy_j)

    def energies_j(self, moments_s: Sequence[float]) -> list[float]:
        """Return the joules up to each moment."""
        return self._interpolated(moments_s, self.energy_j)[0]

    def _interpolated(self, moments_s: Sequence[float], *columns: list[float]) -> list[list[float]]:
        at_s, last = self.at_s, len(self.at_s) - 1
        places = [bisect_right(at_s, moment_s) - 1 for moment_s in moments_s]
        parts = [
            (moment_s - at_s[place]) / (at_s[place + 1] - at_s[place]) if 0 <= place < last else 0.0
            for moment_s, place in zip(moments_s, places, strict=True)
        ]
        located = list(zip(places, parts, strict=True))
        return [
            [
                column[place] + part * (column[place + 1] - column[place]) if part else column[max(place, 0)]
                for place, part in located
            ]
            for column in columns
        ]

    @property
    def end_s(self) -> float:
        return self.at_s[-1]

    @property
    def energy_kwh(self) -> float:
        return estimation.energy_kwh(self.energy_j[-1])

    @property
    def most_power_w(self) -> float:
        """The highest mean power between two samples, W; the device's overall mean if the intervals were too short."""
        return max(self.device.mean_power_w, *(power for power in self.powers_w.highs if power is not None), 0.0)

    def samples_between(self, start_s: float, end_s: float) -> int:
        return bisect_right(self.at_s, end_s) - bisect_right(self.at_s, start_s)

    def energy_between_j(self, start_s: float, end_s: float) -> float:
        return self.at(end_s).energy_j - self.at(start_s).energy_j

    @property
    def tells_utilisation(self) -> bool:
        return self.device.busy_s is not None

    @cached_property
    def powers_w(self) -> Rates:
        """Power between consecutive samples, W."""
        return self._rates(self.energy_j, 2)

    @cached_property
    def utilisations(self) -> Rates:
        """Utilisation between consecutive samples; None if the device doesn't report it."""
        if not self.tells_utilisation:
            return Rates(*[[None] * len(self._observed_s)] * 3)
        return self._rates(self.busy_s, 0)

    @cached_property
    def _observed_s(self) -> list[float]:
        return differences(self.elapsed_s)

    def _rates(self, column: list[float], bound: int) -> Rates:
        """Return the growth of a counter per observed second; None if nothing was observed."""
        observed, grown = self._observed_s, differences(column)
        means: list[float | None]
        if min(observed) > STORED_TO_S:
            means = list(map(truediv, grown, observed))
        else:
            pairs = zip(grown, observed, strict=True)
            means = [each / seconds if seconds > STORED_TO_S else None for each, seconds in pairs]
        if not self.bounds:
            return Rates(means, means, means)
        lows, highs = (
            [mean if known is None else known[place] for mean, known in zip(means, self.bounds, strict=True)]
            for place in (bound, bound + 1)
        )
        return Rates(means, lows, highs)

    def unsure(self, moments_s: Iterable[float]) -> set[float]:
        """Return the moments at which `at` is not what it would be with all samples: some were left out there, and
        power was not constant."""
        found: set[float] = set()
        if not self.bounds:
            return found
        for moment_s in moments_s:
            index = bisect_right(self.at_s, moment_s)
            if 0 < index < len(self.at_s) and moment_s - self.at_s[index - 1] >= STORED_TO_S:
                known = self.bounds[index - 1]
                if known and (known[0] != known[1] or known[2] != known[3] or known[3] is None):
                    found.add(moment_s)
        return found


def differences(column: list[float]) -> list[float]:
    return list(map(sub, islice(column, 1, None), column))


def profile_of(device: Device) -> estimation.PowerProfile:
    """Return the profile that the device was estimated with: the portal's, or else that of the agent's seed data."""
    clues = {"memory_gb": device.memory_gb, "power_limit_w": device.power_limit_w}
    return device.profile or catalogue.profile_for(device.name, device.kind, **clues)


def curves(
    run: Run,
    devices: list[Device],
    batches: Iterable[Batch] | None = None,
    kept: RunCurve | None = None,
    more: dict[tuple[int, str], list[list]] | None = None,
) -> list[Curve]:
    """Return a curve for each counted device that ever reported, from these batches or all batches of the run.

    With `kept`, the batches are those that came after it, and the curves are thinned before them, except where `more`
    samples are.
    """
    samples = _samples(run.batches.defer("metrics") if batches is None else batches, kept)
    for place, columns in (more or {}).items():
        for all_of, column in zip(samples[place].columns, columns, strict=True):
            all_of.extend(column)
    found = (curve(run, device, *samples[device.writer_id, device.key]) for device in devices if device.counted)
    return [each for each in found if len(each.at_s) > 1]


def _samples(batches: Iterable[Batch], kept: RunCurve | None) -> dict[tuple[int, str], KeptSamples]:
    """Return samples by writer and device key."""
    samples: dict[tuple[int, str], KeptSamples] = defaultdict(lambda: KeptSamples([[], [], [], []], {}))
    samples |= kept.samples() if kept else {}
    for batch in sorted(batches, key=lambda batch: batch.first_t_s or 0.0):
        for key, columns in batch.columns().items():
            for all_of, column in zip(samples[batch.writer_id, key].columns, columns, strict=True):
                all_of.extend(column)
    return samples


def curve(run: Run, device: Device, columns: list[list], bounds: dict[float, tuple] | None = None) -> Curve:
    """Return a device's samples as counters on the run's clock; `columns` are Sample's fields.

    Batches keep whole milliseconds and millijoules, so the device's exact last counters are added as the last point.
    """
    last = Sample(device.writer.last_t_s, device.elapsed_s, device.busy_s, device.energy_j)
    is_given = device.basis in estimation.GIVEN
    t_s, elapsed_s, busy_s, energy_j = _in_order(columns, last, is_given)
    if not t_s:
        return Curve(device, [], [], [], [])
    if None in busy_s:
        rate = 1.0 if device.utilisation is None else device.utilisation
        busy_s = [elapsed * rate if busy is None else busy for elapsed, busy in zip(elapsed_s, busy_s, strict=True)]
    if not is_given:
        energy_j = _estimated_j(device, elapsed_s, busy_s)
        bounds = bounds and _estimated_bounds(device, bounds)
    offset_s = run.seconds_to(device.writer.started_at)
    began_s = offset_s + t_s[0] - elapsed_s[0]
    at_s = [began_s, *[offset_s + each for each in t_s]]
    placed = [bounds.get(round(each, 3)) for each in t_s] if bounds else []
    return Curve(device, at_s, [0.0, *elapsed_s], [0.0, *busy_s], [0.0, *energy_j], offset_s, placed)


def _estimated_j(device: Device, elapsed_s: Sequence[float], busy_s: Sequence[float]) -> list[float]:
    profile = profile_of(device)
    idle_w, full_load_w = estimation.idle_power_w(profile), estimation.full_load_power_w(profile)
    held = estimation.units_held(device.last_facts(), profile)
    mine = device.held_share  # share of the time when several jobs used it: batches don't keep its course
    return [
        estimation.estimated_energy_j(idle_w, full_load_w, mine * elapsed, busy, held)
        for elapsed, busy in zip(elapsed_s, busy_s, strict=True)
    ]


def _estimated_bounds(device: Device, bounds: dict[float, tuple]) -> dict[float, tuple]:
    """Return the same with the estimated power at these utilisations: it is linear."""
    assumed = 1.0 if device.utilisation is None else device.utilisation
    least, most, *_ = zip(*bounds.values(), strict=True)
    low_w, high_w = (
        _estimated_j(device, [1.0] * len(bounds), [assumed if each is None else each for each in column])
        for column in (least, most)
    )
    return dict(zip(bounds, zip(least, most, low_w, high_w, strict=True), strict=True))


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


def energies_until_j(curves: list[Curve], moments_s: Sequence[float]) -> list[float]:
    """Return the same for many times."""
    columns = [curve.energies_j(moments_s) for curve in curves]
    return list(map(sum, zip(*columns, strict=True))) if columns else [0.0] * len(moments_s)


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


def span_of(run: Run, stage: Stage) -> tuple[float, float]:
    """Return a stage's start and end in seconds of the run; an open stage lasts until its writer's last sample."""
    offset_s = run.seconds_to(stage.writer.started_at)
    end_s = stage.writer.last_t_s if stage.end_s is None else stage.end_s
    return offset_s + stage.start_s, offset_s + max(end_s, stage.start_s)
