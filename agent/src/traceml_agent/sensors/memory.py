"""Memory: GB times a constant of the catalogue, or RAPL's dram counters if they are readable.

A job with an allocation holds all of it; a job without one holds what its processes use.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from traceml_agent.host import allocation, job, system
from traceml_agent.host.allocation import Target
from traceml_agent.host.processes import of_target
from traceml_agent.sensors import rapl
from traceml_agent.sensors.sensor import Reading, Sensor, facts

#: Seconds between reads of the memory in use, or a tenth of the run's age while that is less: opening /proc costs a
#: quarter of a tick, and this figure moves slowly.
LOOK_EVERY_S, SHARE_OF_AGE = 5.0, 0.1


def probe(scope: str, target: Target) -> Iterator[Sensor]:
    """The job's memory as one device."""
    total = total_gb()
    if total:
        yield Memory(scope, total, target)


class Memory(Sensor):
    """The busy share is the part of `memory_gb` that the job holds: all of an allocation, else what it uses of the
    host's."""

    def __init__(self, scope: str, total_gb: float, target: Target, counters=None, method="RAPL dram"):
        allocated_gb = total_gb if scope == "machine" else allocation.allocated_gb(target)
        if allocated_gb and scope == "job" and target.is_self:
            allocated_gb /= job.local_size()
        is_allocated = allocated_gb is not None and (allocated_gb < total_gb or scope == "machine")
        self._total_gb = total_gb
        self._memory_gb = allocated_gb if allocated_gb and is_allocated else total_gb
        self._used_gb = None if is_allocated else of_target(target).used_gb
        self.is_divided = is_allocated and scope != "machine"
        self._began_s = time.monotonic()
        self._looked_s, self._held_gb = float("-inf"), self._memory_gb
        self.every_s = target.every_s
        self.facts = facts("ram", "ram", "Memory", memory_gb=self._memory_gb)
        self.facts["method"] = "allocated GB" if is_allocated else "used GB"
        self._counter: Dram | None = None
        self._without_counter = {"basis": "", "method": self.facts["method"]}
        if counters := counters or rapl.zones("dram"):
            self._counter, self.every_s = Dram(counters, total_gb), min(self.every_s, rapl.READ_EVERY_S)
            self.facts |= {"basis": "counter", "method": method}
            if scope != "machine":
                self.facts |= {"basis": "split", "method": f"{method}, the job's part"}

    def read(self) -> Reading | None:
        """Read now; None if the counter ran faster than any memory can."""
        if self._used_gb and self._is_due(now_s := time.monotonic()):
            self._looked_s, self._held_gb = now_s, self._used_gb()
        busy_share = min(self._held_gb / self._memory_gb, 1.0)
        try:
            energy_j = self._counter.job_j(self._held_gb) if self._counter else None
        except rapl.Stopped:
            self._counter, self.trouble = None, rapl.STOPPED
            self.facts |= self._without_counter
            self.add_note(f"During the run, {rapl.STOPPED}.")
            return Reading(busy_share=busy_share)
        if self._counter and energy_j is None:
            return None
        return Reading(busy_share=busy_share, energy_j=energy_j)

    def _is_due(self, now_s: float) -> bool:
        return now_s - self._looked_s >= min(LOOK_EVERY_S, SHARE_OF_AGE * (now_s - self._began_s))


class Dram:
    """The dram counters and the job's part of them, in proportion to the GB that it holds of the host's."""

    def __init__(self, zones: list, total_gb: float):
        from traceml_agent import catalogue

        tdp_w = total_gb * (catalogue.profile_for("Memory", "ram").tdp_w or 0.0)
        self._counters, self._total_gb = rapl.EnergyCounters(zones, tdp_w, time.monotonic()), total_gb
        self._job_j = 0.0

    def job_j(self, held_gb: float) -> float | None:
        """The job's joules since the start; None if the counter ran too fast. Raises like `Packages.job_j`."""
        added = self._counters.added(time.monotonic())
        if added is None:
            return None
        self._job_j += added[0] * min(held_gb / self._total_gb, 1.0)
        return self._job_j


def total_gb() -> float | None:
    """GB of memory that the host has."""
    if system.has_proc():
        return system.memory_info("MemTotal")
    import psutil

    return psutil.virtual_memory().total / system.GB
