"""Devices from the power and utilisation that another tool logged while a run was going on.

Energy is the trapezoid over the samples. Where a tool was silent for long, nothing is counted, and the device says so.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from runs.importers.found import CPU, GPU, RAM, FoundDevice, FoundSample
from traceml_agent.limits import MAX_POWER_W

#: A pause of this many usual intervals, and of more than so many seconds, is a gap.
GAP_INTERVALS, GAP_S = 10, 60.0
#: Points of a device's curve that are kept, and samples of one series that are read.
KEPT_POINTS, MOST_SAMPLES = 400, 200_000
Series = list[tuple[float, float]]


@dataclass
class Telemetry:
    """Series of one run by what they are, in seconds since its start: W, shares of 1, and GB."""

    gpu_power_w: dict[int, Series] = field(default_factory=dict)
    gpu_busy: dict[int, Series] = field(default_factory=dict)
    cpu_busy: Series = field(default_factory=list)
    memory_gb: Series = field(default_factory=list)

    def devices(
        self, duration_s: float, gpus: list[str], cpu: str, method: str, cores: float | None = None
    ) -> list[FoundDevice]:
        """The devices; `gpus` and `cpu` are their names as far as they are known, and empty otherwise."""
        found = []
        for number in sorted({*self.gpu_power_w, *self.gpu_busy, *range(len(gpus))}):
            name = gpus[number] if number < len(gpus) else (gpus[-1] if gpus else "GPU")
            found.append(self._gpu(number, name, duration_s, method))
        if cpu:
            busy_s = mean_share(self.cpu_busy, duration_s)
            found.append(FoundDevice("cpu-0", CPU, cpu, busy_s, cores=cores, method=method))
        if found and self.memory_gb:
            used_gb = sum(value for _, value in self.memory_gb) / len(self.memory_gb)
            found.append(FoundDevice("ram", RAM, "Memory", None, memory_gb=used_gb, method=method))
        return found

    def _gpu(self, number: int, name: str, duration_s: float, method: str) -> FoundDevice:
        busy_s = mean_share(self.gpu_busy.get(number, []), duration_s)
        device = FoundDevice(f"gpu-{number}", GPU, name, busy_s, method=method)
        power = clean(self.gpu_power_w.get(number, []), duration_s, MAX_POWER_W)
        if len(power) > 1:
            device.samples, gap_s = integrate(power, duration_s, device.busy_s)
            device.energy_j = device.samples[-1].energy_j
            if gap_s:
                device.note = f"No power was logged for {gap_s:,.0f} s, which are not counted."
        return device


def clean(series: Series, duration_s: float, most: float) -> Series:
    """The series in order, without what is no number, beyond the run or impossible."""
    return sorted(
        (at_s, value)
        for at_s, value in series[:MOST_SAMPLES]
        if math.isfinite(value) and 0.0 <= value <= most and 0.0 <= at_s <= duration_s
    )


def mean_share(series: Series, duration_s: float) -> float | None:
    """Seconds busy: the mean of the shares over the whole run; None if none was logged."""
    shares = clean(series, duration_s, 1.0)
    return duration_s * sum(value for _, value in shares) / len(shares) if shares else None


def integrate(power: Series, duration_s: float, busy_s: float | None) -> tuple[list[FoundSample], float]:
    """Cumulative joules at some of the samples, and the seconds of gaps.

    The first and last power also count for the time before and after, as far as that is no gap.
    """
    times = [at_s for at_s, _ in power]
    longest_s = max(GAP_INTERVALS * median(b - a for a, b in pairwise(times)), GAP_S)
    energy_j = gap_s = before_s = 0.0
    before_w, found = power[0][1], []
    every = max(len(power) // KEPT_POINTS, 1)
    for number, (at_s, watts) in enumerate([*power, (duration_s, power[-1][1])]):
        if at_s - before_s > longest_s:
            gap_s += at_s - before_s
        else:
            energy_j += (before_w + watts) / 2 * (at_s - before_s)
        before_s, before_w = at_s, watts
        if number % every == 0 or number >= len(power):
            share_s = None if busy_s is None else busy_s * at_s / duration_s
            found.append(FoundSample(at_s, share_s, energy_j))
    return found, gap_s


def percent(values: Iterable[tuple[float, float]]) -> Series:
    return [(at_s, value / 100.0) for at_s, value in values]
