"""Which runs hold the same processor, memory or device at the same time, and which part belongs to each.

Two questions are answered for each interval between two readings:

* Jobs that may use the same cores each hold a part of them, and get that part of the idle power.
* Runs that measure the same process each show all that it used, but sums count it once: of nested blocks in the inner
  one, of blocks side by side an equal part in each. If another run measures the process along with more (an ancestor,
  a cgroup, the whole machine), sums count it there.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import NamedTuple

from traceml_agent.host import job
from traceml_agent.host.allocation import Target
from traceml_agent.host.holds import FOR_EVER, MACHINE, HoldRecord, Holds, cgroup, of_this_host, root_of, short
from traceml_agent.limits import MAX_OVERLAPS

#: All processors and memory of a host; everything else that is held is a device.
HOST = "host"
#: Intervals whose ends are this close are the same.
SAME_S = 0.002
#: What two runs may share; a later word says more.
SHARED = ("host", "device", "process")


class Shares(NamedTuple):
    """This writer's shares of an interval, each 0 to 1.

    `own`: of what the process used, if several writers of one run measure it. `held`: of what the process held, if
    other processes may use it too. `counted`: the share of the resulting figure that counts in sums.
    """

    own: float = 1.0
    held: float = 1.0
    counted: float = 1.0


ALL = Shares()


class Neighbours:
    """A run among others: its process, its block, and where it sends to. It makes the run's holds."""

    def __init__(self, run_id: str, writer: str, settings, target: Target, outer: str = ""):
        self.run_id, self.writer, self.outer = run_id, writer, "" if outer == run_id else outer
        if settings.scope == "machine":
            self.root = MACHINE
        else:
            self.root = cgroup(target.cgroup) if target.cgroup else root_of(target.pid)
        self._portal, self._project = short(settings.url or ""), short(f"{settings.url} {settings.token}")
        self._target = target
        self._holds: dict[str, Hold] = {}
        self._met: dict[str, str] = {}

    def hold(self, facts: dict) -> Hold | None:
        """The hold of a device by its sensor's facts. Memory is held with the processor, which is found first."""
        if facts["kind"] not in ("cpu", "ram"):
            return self.device(facts["uuid"] or facts["key"])
        return self.host(facts["threads"], facts["host_threads"]) if facts["key"] == "cpu-0" else self._holds.get(HOST)

    def host(self, threads: float, host_threads: float) -> Hold:
        """The hold of the run's part of the host, by the hardware threads that it may use."""
        ranks = job.local_size() if self._target.is_self else 1
        return self._hold(HOST, _allocation(self._target), threads, ranks * threads, host_threads)

    def device(self, uuid: str) -> Hold:
        """The hold of an accelerator."""
        return self._hold(short(uuid), short(uuid), 1.0, 1.0, 1.0)

    def _hold(self, what: str, allocation: str, held: float, whole: float, capacity: float) -> Hold:
        if what not in self._holds:
            record = HoldRecord(
                what,
                self.writer,
                self.run_id,
                self.root,
                self.outer,
                self._portal,
                self._project,
                allocation,
                held,
                whole,
                FOR_EVER,
                FOR_EVER,
            )
            self._holds[what] = Hold(record, capacity, self._met)
        return self._holds[what]

    def end(self, at: float) -> None:
        """End all holds."""
        for hold in self._holds.values():
            hold.end(at)

    def overlaps(self) -> list[dict]:
        """The runs met so far, and what they share: a process, the host, or a device."""
        return [{"run": run, "shares": shares} for run, shares in sorted(self._met.items())[:MAX_OVERLAPS]]


def _allocation(target: Target) -> str:
    """A hash that jobs with the same allocation share: of cores, cgroup, and the scheduler's job and step."""
    try:
        cores = sorted(os.sched_getaffinity(0 if target.is_self else target.pid)) if not target.cgroup else []
    except (AttributeError, OSError):
        cores = []
    step = [os.environ.get(name) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")] if target.is_self else []
    return short(repr((cores, target.cgroup_places(), step)))


class Hold:
    """One run's hold of one thing, until `end`."""

    def __init__(self, record: HoldRecord, capacity: float, met: dict[str, str]):
        self.record, self._capacity, self._met = record, capacity, met
        self._last = 0.0, 0.0, ALL

    def begin(self, at: float) -> None:
        """Begin the hold with the first reading, at a monotonic time. Nothing is counted before."""
        if self.record.began == FOR_EVER:
            self.record = self.record._replace(began=at)
            of_this_host().put(self.record)

    def end(self, at: float) -> None:
        """End the hold with the last reading. Other runs see that at their next reading."""
        if self.record.began < self.record.ended == FOR_EVER:
            self._become(self.record._replace(ended=at))

    def keep(self, held: float) -> None:
        """Hold this much from now on: nothing while the reading is the job's part already, by each process's use."""
        if held != self.record.held and self.record.began < self.record.ended == FOR_EVER:
            self._become(self.record._replace(held=held))

    def _become(self, record: HoldRecord) -> None:
        of_this_host().put(record, self.record)
        self.record = record

    def part(self, since: float, until: float) -> Shares:
        """This writer's part of an interval between two monotonic times."""
        since_then, until_then, part = self._last
        if abs(since - since_then) > SAME_S or abs(until - until_then) > SAME_S:  # both processor and memory ask
            part = self._part(since, until)
            self._last = since, until, part
        return part

    def _part(self, since: float, until: float) -> Shares:
        here = of_this_host()
        here.read()
        around = here.around(self.record, since, until)
        if not around or until <= since:
            return ALL
        self._meet(here, around)
        edges = {since, until} | {at for each in around for at in (each.began, each.ended) if since < at < until}
        sums = [0.0, 0.0, 0.0]
        for start, end in pairwise(sorted(edges)):
            living = [each for each in around if each.is_within(start, end)]
            parts = self._own(living), self._held(here, living), self._counted(here, living)
            sums = [total + part * (end - start) for total, part in zip(sums, parts, strict=True)]
        return Shares(*(min(total / (until - since), 1.0) for total in sums))

    def _meet(self, here: Holds, around: list[HoldRecord]) -> None:
        for each in around:
            if each.run != self.record.run:
                same = (
                    each.root == self.record.root
                    or here.is_above(each, self.record)
                    or here.is_above(self.record, each)
                )
                shares = "process" if same else "host" if self.record.what == HOST else "device"
                self._met[each.run] = max(shares, self._met.get(each.run, SHARED[0]), key=SHARED.index)

    def _own(self, living: list[HoldRecord]) -> float:
        mine = self.record
        if mine.what != HOST:  # if several writers report one device, the portal counts one
            return 1.0
        return 1 / (1 + sum(each.run == mine.run and each.root == mine.root for each in living))

    def _held(self, here: Holds, living: list[HoldRecord]) -> float:
        mine = self.record
        by_root = {mine.root: mine}
        for each in living:
            if each.root != MACHINE and not here.is_above(each, mine) and not here.is_above(mine, each):
                by_root.setdefault(each.root, each)
        if mine.root == MACHINE or not mine.held or len(by_root) == 1:
            return 1.0
        held: dict[str, float] = {}
        whole: dict[str, float] = {}
        for each in by_root.values():
            held[each.allocation] = held.get(each.allocation, 0.0) + each.held
            whole[each.allocation] = max(whole.get(each.allocation, 0.0), each.whole)
        given = {name: min(held[name], whole[name]) for name in held}
        return given[mine.allocation] / held[mine.allocation] * min(self._capacity / sum(given.values()), 1.0)

    def _counted(self, here: Holds, living: list[HoldRecord]) -> float:
        mine = self.record
        if any(each.project == mine.project and here.is_above(each, mine) for each in living):
            return 0.0
        same = [each for each in living if each.root == mine.root and each.portal == mine.portal]
        outers = {each.outer for each in (*same, mine)}
        if mine.run in outers:
            return 0.0
        return 1 / len({mine.run} | {each.run for each in same if each.run not in outers})
