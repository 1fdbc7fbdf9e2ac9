"""The job's part of a GPU that strangers' processes use as well, by each process's use of the multiprocessors."""

from __future__ import annotations

import os
import time

from traceml_agent import host, job
from traceml_agent.sensors.processes import processes

#: How often it is looked whether strangers came or went.
LOOK_EVERY_S = 30.0


class Sharing:
    """What part of a GPU is the job's: 1.0 where nobody else is on it, or nothing can be known of it.

    `ask` calls an NVML function for this GPU and gives None where it has no answer.
    """

    def __init__(self, nvml, ask, target: host.Target):
        self._nvml, self._ask, self._target = nvml, ask, target
        self._look_at = 0.0
        self._strangers: set[int] = set()
        self._seen_us = 0
        self._part = 1.0

    @property
    def is_shared(self) -> bool:
        return bool(self._strangers)

    def part(self) -> float:
        """The job's part of what the GPU used since the last call, 0 to 1; as before where no process was busy."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._strangers = self._others()
        if not self._strangers:
            self._part = 1.0
            return self._part
        rows = self._ask(self._nvml.nvmlDeviceGetProcessUtilization, self._seen_us) or []
        self._seen_us = max((row.timeStamp for row in rows), default=self._seen_us)
        total = sum(row.smUtil for row in rows)
        if total:
            self._part = sum(row.smUtil for row in rows if row.pid not in self._strangers) / total
        return self._part

    @property
    def is_known(self) -> bool:
        """Whether NVML tells each process's use."""
        return self._ask(self._nvml.nvmlDeviceGetProcessUtilization, 0) is not None

    def _others(self) -> set[int]:
        """Pids on the GPU that are not the job's. In a container NVML gives the host's, of which nothing is known."""
        pids = {row.pid for row in self._ask(self._nvml.nvmlDeviceGetComputeRunningProcesses) or []}
        known = {pid for pid in pids if os.path.exists(host.path("proc", str(pid)))}
        return known - self._family() if known - {os.getpid()} else set()

    def _family(self) -> set[int]:
        """The job's pids: the target's tree, that of the launcher of its ranks, or the cgroup's."""
        if self._target.cgroup:
            texts = (host.read(folder, "cgroup.procs") or "" for folder in self._target.own_folders("cpu"))
            return {int(pid) for text in texts for pid in text.split()}
        root = os.getppid() if self._target.is_self and job.local_size() > 1 else self._target.pid
        tree = processes(root)
        descendants = tree.descendants() if hasattr(tree, "descendants") else set()
        return {root, *map(int, descendants)}
