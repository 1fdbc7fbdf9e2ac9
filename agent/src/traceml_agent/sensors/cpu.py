"""The CPU: the job's CPU time, and its part of the RAPL counters where they can be read.

Without a counter the energy is estimated between idle and full load from the busy seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from traceml_agent import host, job
from traceml_agent.sensors import Reading, Sensor, facts, rapl
from traceml_agent.sensors.processes import launcher, of_target


def probe(scope: str, target: host.Target) -> Iterator[Sensor]:
    """The host's processors as one device."""
    yield Cpu(scope, target)


class Cpu(Sensor):
    """Busy is the job's CPU time over the physical cores that it holds: hyper-threads add little power."""

    def __init__(self, scope: str, target: host.Target, counters: list | None = None, method: str = "RAPL"):
        processor = host.processor()
        whole = scope == "machine"
        threads = float(processor.threads) if whole else _allocated(processor.threads, target)
        self._cores = threads * processor.cores / processor.threads
        self._cpu_s = machine_cpu_s if whole else of_target(target).cpu_s
        self.every_s = target.every_s
        self.facts = facts("cpu-0", "cpu", processor.name, cores=self._cores, threads=threads, method="CPU time")
        self.facts |= {"host_cores": float(processor.cores), "host_threads": float(processor.threads)}
        self._counter: Packages | None = None
        if counters := counters or rapl.zones("package"):
            self._counter = Packages(counters, processor, 1.0 if whole else threads / processor.threads, whole)
            self.facts |= {"basis": "counter", "method": method if whole else f"{method}, the job's part"}
            self.every_s, self.most_w = min(self.every_s, rapl.READ_EVERY_S), self._counter.most_w
        elif rapl.unreadable():
            self.facts["note"] = rapl.REMEDY

    def read(self) -> Reading:
        cpu_s = self._cpu_s()
        if self._counter:
            self._counter.idle_part = self.idle_part
        energy_j = self._counter.job_j(cpu_s) if self._counter else None
        return Reading(busy_s=cpu_s / self._cores, energy_j=energy_j)


def _allocated(host_threads: int, target: host.Target) -> float:
    """Hardware threads that the target holds; a rank of several reports its part of what they share."""
    ranks = job.local_size() if target.is_self else 1
    starter = launcher() if target.is_self else 0
    shares_affinity = starter > 0 and host.Target(starter).affinity() == target.affinity()
    return host.allocated_threads(host_threads, ranks, target, shares_affinity)


class Packages:
    """The packages' counters and the job's part: of idle power by the threads that it holds, of the rest by CPU time.

    Ranks of one host need no claim on a counter that all of them read: each takes its own part, and the parts add up.
    """

    def __init__(self, zones: list, processor: host.Processor, held: float, whole: bool):
        from traceml_agent import catalogue, estimation

        profile = catalogue.profile_for(processor.name, "cpu")
        units = processor.threads if profile.unit == "thread" else processor.sockets
        self.most_w = units * (profile.tdp_w or 0.0) or None
        self._idle_w = units * estimation.idle_power_w(profile)
        self._zones, self._held, self._whole = zones, held, whole
        self._last: tuple[float, float, float | None, float] = (time.monotonic(), 0.0, None, machine_cpu_s())
        self._job_j = 0.0
        self.idle_part = 1.0

    def job_j(self, cpu_s: float) -> float:
        """The job's joules since the start; `cpu_s` is its CPU time so far. Raises OSError for a failed read."""
        package_j = rapl.total_j(self._zones)
        if self._whole:
            return package_j
        at, machine_s = time.monotonic(), machine_cpu_s()
        before_at, before_j, before_cpu_s, before_machine_s = self._last
        added_j = package_j - before_j
        idle_j = min(self._idle_w * (at - before_at), added_j)
        busy_s = machine_s - before_machine_s
        part = min((cpu_s - (before_cpu_s or 0.0)) / busy_s, 1.0) if busy_s > 0 and before_cpu_s is not None else 0.0
        self._job_j += idle_j * self._held * self.idle_part + (added_j - idle_j) * part
        self._last = (at, package_j, cpu_s, machine_s)
        return self._job_j


def machine_cpu_s() -> float:
    """Busy CPU seconds of the whole machine since boot, all threads added up."""
    fields = (host.read("proc", "stat") or "").partition("\n")[0].split()[1:9]
    if len(fields) < 8:
        return _psutil_cpu_s()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _psutil_cpu_s() -> float:
    import psutil

    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)
