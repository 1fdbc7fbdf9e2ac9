"""The job's part of a GPU that other processes use too, by each process's use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from traceml_agent.host import system
from traceml_agent.host.allocation import Target
from traceml_agent.host.processes import launcher, processes

#: How often to check whether strangers came or went.
LOOK_EVERY_S = 30.0
#: A driver reports each process's use a few times a second: a process not reported for this long was not busy.
STILL_BUSY_S = 3.0
#: The inode of the first pid namespace (the kernel's PROC_PID_INIT_INO), in which a driver's pids are ours.
FIRST_NAMESPACE = "pid:[4026531836]"
#: The server of CUDA's multi-process service computes for its clients, which the driver lists too.
MPS_SERVER = "nvidia-cuda-mps"
SPLIT = "Other jobs use this GPU: its energy is split by each process's use"
NOT_KNOWN = "Other jobs use this GPU, but their share is unknown: all of its energy is counted"


class Sharing:
    """The job's part of a GPU: 1.0 if nobody else uses it, or if the use is unknown.

    `pids` returns the processes that compute on it, 0 for one of another namespace. `uses` returns what each has used
    since the last call as pairs of a pid and an amount, no pairs if nobody was busy, or None if the driver does not
    say.
    """

    def __init__(self, pids: Callable[[], list[int]], uses: Callable[[], list[tuple[int, float]] | None], target):
        self._pids, self._uses, self._target = pids, uses, target
        self._look_at = 0.0
        self._family: set[int] = set()
        self._met: set[int] = set()
        self._can_tell = False
        #: The job's part while nobody is busy; the part while somebody is, and until when that is valid.
        self._idle_part = self._part = 0.0
        self._busy_until = float("-inf")
        self.note = ""

    def part(self) -> float:
        """The job's part of what the GPU used since the last call, 0 to 1.

        While nobody is busy, it is the job's share of the processes on the GPU, so that idle power is counted once.
        """
        now = time.monotonic()
        is_due = now >= self._look_at
        if is_due:
            self._look()
        rows = self._uses() if self.note and self._can_tell else None
        if rows is None:
            self.note = NOT_KNOWN if self.note else ""
            return 1.0
        if not is_due and any(pid not in self._met for pid, _ in rows):
            self._look()  # a worker of the job that has started since then is no stranger
        self._met.update(pid for pid, _ in rows)
        total = sum(use for _, use in rows)
        if total > 0:
            self._busy_until = now + STILL_BUSY_S
            self._part = sum(use for pid, use in rows if pid in self._family) / total
        return self._part if now <= self._busy_until else self._idle_part

    def _look(self) -> None:
        """See who is on the GPU: strangers, if the driver's pids are comparable, or if there are more pids than job
        processes.

        In a container a driver translates pids, with 0 for strangers, or returns the host's, which can't be compared.
        """
        self._look_at = time.monotonic() + LOOK_EVERY_S
        pids = [pid for pid in self._pids() if not _is_mps_server(pid)]
        self._met = set(pids)
        if set(pids) <= {self._target.pid}:
            self.note = ""
            return
        self._family = family(self._target)
        self._can_tell = _is_first_namespace() or 0 in pids or not self._family.isdisjoint(pids)
        strangers = [pid for pid in pids if pid not in self._family]
        self._idle_part = 1.0 - len(strangers) / len(pids)
        is_shared = bool(strangers) if self._can_tell else len(set(pids)) > len(self._family)
        self.note = "" if not is_shared else SPLIT if self._can_tell else NOT_KNOWN


def family(target: Target) -> set[int]:
    """The job's pids: of the target's tree, of the tree of the launcher of its ranks, or of the cgroup."""
    if target.cgroup:
        texts = (system.read(folder, "cgroup.procs") or "" for folder in target.own_folders("cpu"))
        return {int(pid) for text in texts for pid in text.split()}
    root = launcher() if target.is_self else 0
    return processes(root or target.pid).pids()


def _is_first_namespace() -> bool:
    try:
        return os.readlink(system.path("proc", "self", "ns", "pid")) == FIRST_NAMESPACE
    except OSError:
        return False


def _is_mps_server(pid: int) -> bool:
    return pid > 0 and (system.read("proc", str(pid), "comm") or "").startswith(MPS_SERVER)
