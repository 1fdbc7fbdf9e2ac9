"""The CPU: the job's CPU time, and its part of the RAPL counters if they are readable.

Without a counter the energy is estimated between idle and full load from the busy seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from traceml_agent.host import allocation, cpuinfo, job, system
from traceml_agent.host.allocation import Target
from traceml_agent.host.processes import launcher, of_target
from traceml_agent.sensors import rapl
from traceml_agent.sensors.sensor import Reading, Sensor, facts

#: A machine draws little more than idle power if at most this share of its threads, or a tenth of one thread, is busy.
#: Idle power is learnt only over at least this many seconds, since the kernel counts CPU time in hundredths.
IDLE_BUSY, IDLE_THREADS, LEAST_LEARNT_S = 0.01, 0.1, 0.5


def probe(scope: str, target: Target) -> Iterator[Sensor]:
    """The host's processors as one device."""
    yield Cpu(scope, target)


class Cpu(Sensor):
    """Busy time is the job's CPU time over the physical cores that it holds, since hyper-threads add little power."""

    def __init__(self, scope: str, target: Target, counters: list | None = None, method: str = "RAPL"):
        processor = cpuinfo.processor()
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
            self.facts |= {"basis": "counter", "method": method}
            if not whole:
                self.facts |= {"basis": "split", "method": f"{method}, the job's part"}
            self.every_s, self.most_w = min(self.every_s, rapl.READ_EVERY_S), self._counter.most_w
        elif rapl.unreadable():
            self.facts["note"] = rapl.REMEDY

    def read(self) -> Reading | None:
        """Read now; None if the counter ran faster than any processor can."""
        cpu_s = self._cpu_s()
        if self._counter:
            self._counter.idle_part = self.idle_part
        try:
            energy_j = self._counter.job_j(cpu_s) if self._counter else None
        except rapl.Stopped:
            self._counter, self.trouble = None, rapl.STOPPED
            self.facts |= {"basis": "", "method": "CPU time"}
            self.add_note(f"During the run, {rapl.STOPPED}.")
            return Reading(busy_s=cpu_s / self._cores)
        if self._counter and energy_j is None:
            return None
        return Reading(busy_s=cpu_s / self._cores, energy_j=energy_j)


def _allocated(host_threads: int, target: Target) -> float:
    """Hardware threads that the target holds; one of several ranks reports its part."""
    ranks = job.local_size() if target.is_self else 1
    starter = launcher() if target.is_self else 0
    shares_affinity = starter > 0 and Target(starter).affinity() == target.affinity()
    return allocation.allocated_threads(host_threads, ranks, target, shares_affinity)


class Packages:
    """The packages' counters and the job's part: of idle power by the threads that it holds, of the rest by CPU time.

    Ranks on one host need no claim on the counters: each takes its own part, and the parts add up. Idle power is the
    lowest power seen while the machine was nearly idle; before that the profile's, or the lowest power seen if that is
    less.
    """

    def __init__(self, zones: list, processor: cpuinfo.Processor, held: float, whole: bool):
        from traceml_agent import catalogue, estimation

        profile = catalogue.profile_for(processor.name, "cpu")
        units = processor.threads if profile.unit == "thread" else processor.sockets
        at = time.monotonic()
        self._counters = rapl.EnergyCounters(zones, units * (profile.tdp_w or 0.0), at)
        self.most_w = self._counters.most_w
        self._idle_w, self._is_learnt = units * estimation.idle_power_w(profile), False
        self._held, self._whole = held, whole
        self._idle_threads = max(IDLE_BUSY * processor.threads, IDLE_THREADS)
        self._cpu_s: float | None = None
        self._machine_s = machine_cpu_s()
        self._job_j = 0.0
        self.idle_part = 1.0

    def job_j(self, cpu_s: float) -> float | None:
        """The job's joules since the start; `cpu_s` is its CPU time so far. None if the counter ran too fast.

        Raises OSError or ValueError for a failed read, and rapl.Stopped.
        """
        added, machine_s = self._counters.added(time.monotonic()), machine_cpu_s()
        busy_s, self._machine_s = machine_s - self._machine_s, machine_s
        used_s, self._cpu_s = cpu_s - (cpu_s if self._cpu_s is None else self._cpu_s), cpu_s
        if added is None:
            return None
        added_j, passed_s = added
        if self._whole:
            self._job_j += added_j
            return self._job_j
        if passed_s >= LEAST_LEARNT_S:
            self._learn(added_j / passed_s, busy_s <= self._idle_threads * passed_s)
        idle_j = min(self._idle_w * passed_s, added_j)
        part = min(max(used_s, 0.0) / busy_s, 1.0) if busy_s > 0 else 0.0
        self._job_j += idle_j * self._held * self.idle_part + (added_j - idle_j) * part
        return self._job_j

    def _learn(self, power_w: float, is_idle: bool) -> None:
        """Learn the idle power from a reading. Most of a busy machine's power is work."""
        if is_idle and not self._is_learnt:
            self._idle_w, self._is_learnt = power_w, True
        self._idle_w = min(self._idle_w, power_w)


def machine_cpu_s() -> float:
    """Busy CPU seconds of the whole machine since boot, over all threads."""
    fields = (system.read("proc", "stat") or "").partition("\n")[0].split()[1:9]
    if len(fields) < 8:
        return _psutil_cpu_s()
    user, nice, kernel, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return (user + nice + kernel + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _psutil_cpu_s() -> float:
    import psutil

    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)
