"""CPU time and memory of the job's processes: this one, its descendants, and children that have ended."""

from __future__ import annotations

import os
import time

from traceml_agent.host import job, system
from traceml_agent.host.allocation import Target
from traceml_agent.host.descriptors import Descriptor, above_standard

#: How long a pid is remembered as a stranger's, since pids are reused.
STRANGERS_FOR_S = 60.0
#: CPU and memory are read one after the other, so one look at the tree serves both.
FRESH_FOR_S = 0.05


class Processes:
    """The process tree below `pid`, read from /proc.

    `cpu_s` never falls: when a process waits for a child, the child's time moves into its own counters.
    """

    def __init__(self, pid: int):
        self.pid = pid
        self._tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
        self._page_gb = os.sysconf("SC_PAGE_SIZE") / system.GB
        self._strangers: set[str] = set()
        self._family: set[str] = set()
        self._forget_at = self._fresh_until = 0.0
        self._cpu_s = 0.0
        self._statm: Descriptor | None = None

    def cpu_s(self) -> float:
        """CPU seconds so far of the whole tree, user and system."""
        own_s = (
            self._own_cpu_s()
        )  # before the children, so that one that ends in between is missed once, not counted twice
        total_s = own_s + sum(self._cpu_of(pid) for pid in self.descendants())
        self._cpu_s = max(self._cpu_s, total_s)
        return self._cpu_s

    def _own_cpu_s(self) -> float:
        if self.pid != os.getpid():
            return self._cpu_of(str(self.pid))
        times = os.times()
        return time.process_time() + times.children_user + times.children_system

    def _cpu_of(self, pid: str) -> float:
        """User and system seconds of a process and of the children that it has waited for."""
        fields = _stat(pid)
        return sum(map(int, fields[11:15])) * self._tick_s if fields else 0.0

    def used_gb(self) -> float:
        """GB that the tree holds: the private part of each process, plus once the largest part that they may share."""
        private = shared = 0.0
        for pid in (str(self.pid), *self.descendants()):
            _size, resident, file_backed = self._pages(pid)
            private += (resident - file_backed) * self._page_gb
            shared = max(shared, file_backed * self._page_gb)
        if not self._family:
            return private + shared
        # Pages that forked children share with their parent look private, but the machine uses them once.
        return min(private + shared, _machine_used_gb())

    def _pages(self, pid: str) -> tuple[int, ...]:
        """Size, resident and file-backed pages of a process; zeros once it has ended."""
        text = self._own_statm() if pid == str(os.getpid()) else system.read("proc", pid, "statm")
        fields = (text or "").split()[:3]
        return tuple(map(int, fields)) if len(fields) == 3 else (0, 0, 0)

    def _own_statm(self) -> str | None:
        """Read by a descriptor that stays open: opening a file of /proc delays a training more than the rest of a
        reading."""
        try:
            if self._statm is None or not self._statm.is_ours:
                with above_standard():
                    self._statm = Descriptor(os.open(system.path("proc", "self", "statm"), os.O_RDONLY | os.O_CLOEXEC))
            return os.pread(self._statm.number, 128, 0).decode()
        except OSError:
            return None

    def pids(self) -> set[int]:
        """All living processes of the tree, including its root."""
        return {self.pid, *map(int, self.descendants())}

    def descendants(self) -> set[str]:
        """Pids of living descendants. Only processes not seen before are checked for their parent."""
        now = time.monotonic()
        if now < self._fresh_until:
            return self._family
        self._fresh_until = now + FRESH_FOR_S
        if self.pid == os.getpid() and not _has_children():
            self._family = set()
            return self._family
        if now > self._forget_at:
            self._strangers, self._forget_at = set(), now + STRANGERS_FOR_S
        living = {name for name in os.listdir(system.path("proc")) if name.isdigit()}
        parents = {pid: _parent(pid) for pid in living - self._strangers}
        family = {str(self.pid)}
        while grown := {pid for pid, parent in parents.items() if parent in family and pid not in family}:
            family |= grown
        self._strangers = living - family
        self._family = family - {str(self.pid)}
        return self._family


def _machine_used_gb() -> float:
    total_gb, available_gb = system.memory_info("MemTotal"), system.memory_info("MemAvailable")
    return total_gb - available_gb if total_gb and available_gb else float("inf")


def _has_children() -> bool:
    """Whether this process has any child, including ended ones, without waiting for them."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _stat(pid: str) -> list[str]:
    """The fields of /proc/<pid>/stat from the third, the state, on. The second, a name, may contain anything."""
    return (system.read("proc", pid, "stat") or "").rpartition(")")[2].split()


def _parent(pid: str) -> str:
    fields = _stat(pid)
    return fields[1] if fields else ""


class PsutilProcesses:
    """The same for systems without /proc (macOS, Windows)."""

    def __init__(self, pid: int):
        import psutil

        self._psutil = psutil
        self._process = psutil.Process(pid)
        self._cpu_s = 0.0

    def _family(self) -> list:
        return [self._process, *self._process.children(recursive=True)]

    def pids(self) -> set[int]:
        """All living processes of the tree, including its root."""
        return {process.pid for process in self._family()}

    def cpu_s(self) -> float:
        """CPU seconds so far of the whole tree, with children that ended as long as the system knows them."""
        self._cpu_s = max(self._cpu_s, sum(map(self._cpu_of, self._family())))
        return self._cpu_s

    def _cpu_of(self, process) -> float:
        """User and system seconds. psutil has those of ended children only on Linux, os.times() on macOS too."""
        try:
            times = os.times() if process.pid == os.getpid() else process.cpu_times()
        except self._psutil.Error:
            return 0.0
        ended_s = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return times.user + times.system + ended_s

    def used_gb(self) -> float:
        """GB that the tree holds."""
        total = 0
        for process in self._family():
            try:
                total += process.memory_info().rss
            except self._psutil.Error:
                continue
        return total / system.GB


_trees: dict[int, Processes | PsutilProcesses] = {}


def processes(pid: int | None = None) -> Processes | PsutilProcesses:
    """The process tree below this process or another one. All sensors share it."""
    root = pid or os.getpid()
    if root not in _trees:
        _trees[root] = (Processes if system.has_proc() else PsutilProcesses)(root)
    return _trees[root]


if hasattr(os, "register_at_fork"):
    # A forked child is the root of another tree.
    os.register_at_fork(after_in_child=_trees.clear)


class Cgroup:
    """A cgroup's own counters, whatever its processes are and were."""

    def __init__(self, target: Target):
        self._cpu = [folder for folder in target.own_folders("cpuacct") if usage_s(folder) is not None]
        self._memory = target.own_folders("memory")
        if not self._cpu:
            raise ValueError(f"{target.cgroup} is not a cgroup with readable CPU time")

    def cpu_s(self) -> float:
        """CPU seconds so far. Raises ValueError once the cgroup is gone."""
        seconds = usage_s(self._cpu[0])
        if seconds is None:
            raise ValueError("the cgroup is gone")
        return seconds

    def used_gb(self) -> float:
        """GB that it holds, minus what the kernel would free at once. Raises ValueError if that is not reported."""
        found = next((gb for gb in map(held_gb, self._memory) if gb is not None), None)
        if found is None:
            raise ValueError("the cgroup reports no memory")
        return found


def usage_s(folder: str) -> float | None:
    """CPU seconds of a cgroup, from version 2 (cpu.stat, µs) or version 1 (cpuacct.usage, ns)."""
    for line in (system.read(folder, "cpu.stat") or "").splitlines():
        if line.startswith("usage_usec "):
            return float(line.split()[1]) / 1e6
    nanoseconds = system.number(folder, "cpuacct.usage")
    return None if nanoseconds is None else nanoseconds / 1e9


def held_gb(folder: str) -> float | None:
    """GB that a cgroup holds, minus file pages that the kernel would free at once; version 2, else version 1."""
    used = system.number(folder, "memory.current")
    if used is None:
        used = system.number(folder, "memory.usage_in_bytes")
    return None if used is None else max(used - _inactive(folder), 0.0) / system.GB


def _inactive(folder: str) -> float:
    """Bytes of such file pages. In version 1 the total, since the plain field omits child cgroups."""
    pairs = (line.partition(" ") for line in (system.read(folder, "memory.stat") or "").splitlines())
    fields = {name: value for name, _, value in pairs}
    return float(fields.get("total_inactive_file") or fields.get("inactive_file") or 0.0)


def of_target(target: Target) -> Processes | PsutilProcesses | Cgroup:
    """CPU time and memory of the target: its process tree, or the cgroup if one was named.

    It is never a cgroup that the job happens to own: a process that joins it later, such as another kernel of the same
    Jupyter server, would be counted, unless every reading checked the members.
    """
    return Cgroup(target) if target.cgroup else processes(target.pid)


def ancestors(pid: int) -> set[int]:
    """Pids of all ancestors of a process; empty if the system does not say."""
    if not system.has_proc():
        import psutil

        return {parent.pid for parent in psutil.Process(pid).parents()}
    found: set[int] = set()
    parent = _parent(str(pid))
    while parent.isdigit() and int(parent) > 0 and int(parent) not in found:
        found.add(int(parent))
        parent = _parent(parent)
    return found


def launcher() -> int:
    """The pid of the process that started the ranks of this host; 0 if this one is alone, or it is unknown.

    It is the nearest ancestor without the rank in its environment, since processes in between, such as `bash -c`, have
    inherited the rank.
    """
    mark = next((name for name in job.RANKS if name in os.environ), "")
    pid = str(os.getppid()) if mark and job.local_size() > 1 else ""
    while pid not in ("", "0"):
        environment = system.read("proc", pid, "environ") or ""
        if not any(each.startswith(f"{mark}=") for each in environment.split("\0")):
            return int(pid)
        pid = _parent(pid)
    return 0
