"""Files of /proc and /sys, below a settable root, and what they say of the job's allocation.

`TRACEML_AGENT_ROOT` puts another folder in the place of `/`: the host's, mounted into a container, or a tree that a
test built.
"""

from __future__ import annotations

import os

GB = 1e9
#: cgroup v1 says "no limit" by a number near 2**63.
NO_LIMIT_BYTES = 2**60


def path(*parts: str) -> str:
    """A path below the root: `path("proc", "stat")`."""
    return os.path.join(os.environ.get("TRACEML_AGENT_ROOT") or "/", *(part.lstrip("/") for part in parts))


def read(*parts: str) -> str | None:
    """A small file's text without surrounding white space, or None where it can't be read."""
    try:
        with open(path(*parts), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def number(*parts: str) -> float | None:
    """A file that holds one number, or None."""
    try:
        return float(read(*parts) or "")
    except ValueError:
        return None


def has_proc() -> bool:
    """Whether this is Linux with a readable /proc."""
    return os.path.exists(path("proc", "self", "stat"))


class Processor:
    """The host's CPU as /proc/cpuinfo tells it: name, sockets, physical cores and hardware threads of all sockets."""

    def __init__(self, name: str, sockets: int, cores: int, threads: int):
        self.name, self.sockets, self.cores, self.threads = name, sockets, cores, threads


def processor() -> Processor:
    """The host's processor; counts fall back to the operating system's where the kernel tells none."""
    entries = [_entry(block) for block in (read("proc", "cpuinfo") or "").split("\n\n")]
    entries = [entry for entry in entries if "processor" in entry]
    threads = len(entries) or os.cpu_count() or 1
    places = {(e.get("physical id", "0"), e["core id"]) for e in entries if "core id" in e}
    sockets = len({place[0] for place in places}) or 1
    first = entries[0] if entries else {}
    name = first.get("model name") or first.get("Model") or _machine_name()
    return Processor(name, sockets, len(places) or threads, threads)


def _entry(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _machine_name() -> str:
    """What there is to say where the kernel gives no model name, as on ARM."""
    board = (read("proc", "device-tree", "model") or "").strip("\0")
    if board:
        return board
    import platform

    return platform.processor() or f"{platform.machine() or 'unknown'} CPU"


class Target:
    """What is measured: this process and its children, another process and its own, or a cgroup by its path."""

    def __init__(self, pid: int | None = None, cgroup: str | None = None):
        self.pid = pid or os.getpid()
        self.cgroup = "/" + cgroup.removeprefix("/sys/fs/cgroup").strip("/") if cgroup else None
        self.is_self = self.pid == os.getpid() and not cgroup

    def cgroup_places(self) -> list[tuple[str, str]]:
        """The cgroup's controllers and path, by hierarchy; an empty name is version 2."""
        if self.cgroup:
            return [("", self.cgroup), ("cpu,cpuacct", self.cgroup), ("cpu", self.cgroup), ("memory", self.cgroup)]
        lines = (read("proc", "self" if self.is_self else str(self.pid), "cgroup") or "").splitlines()
        return [(names, place) for _, names, place in (line.split(":", 2) for line in lines)]

    def own_folders(self, controller: str) -> list[str]:
        """The folders of the cgroup itself, without its ancestors."""
        return [folder for folder in cgroup_folders(controller, self) if folder.endswith(str(self.cgroup))]

    def affinity(self) -> int | None:
        """Hardware threads that the scheduler lets it run on."""
        if self.cgroup or not hasattr(os, "sched_getaffinity"):
            return None
        try:
            return len(os.sched_getaffinity(0 if self.is_self else self.pid))
        except OSError:
            return None


def allocated_threads(host_threads: int, ranks: int = 1, target: Target | None = None) -> float:
    """Hardware threads that the target may use: the least of affinity, cgroup quota and what the scheduler gave it.

    What the `ranks` of a job share on the host is divided: each reports its part, together they report all.
    """
    target = target or Target()
    common = [float(host_threads), cgroup_threads(target), _slurm("SLURM_CPUS_ON_NODE", target)]
    limits = [limit / ranks if limit else None for limit in common]
    limits += [_slurm("SLURM_CPUS_PER_TASK", target), target.affinity()]
    return min(limit for limit in limits if limit)


def cgroup_threads(target: Target | None = None) -> float | None:
    """CPUs that the cgroup's quota allows, the least over all ancestors; None where there is no quota."""
    quotas = []
    for folder in cgroup_folders("cpu", target):
        quota, _, period = (read(folder, "cpu.max") or "").partition(" ")
        if not period:
            quota, period = read(folder, "cpu.cfs_quota_us") or "", read(folder, "cpu.cfs_period_us") or ""
        if quota.isdigit() and period.isdigit() and int(quota) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def allocated_gb(target: Target | None = None) -> float | None:
    """GB of memory that a cgroup or the scheduler limits the target to; None where it may take all."""
    limits = [number(folder, name) for folder in cgroup_folders("memory", target) for name in _MEMORY_LIMITS]
    in_gb = [limit / GB for limit in limits if limit and limit < NO_LIMIT_BYTES]
    in_gb += [megabytes * 2**20 / GB for megabytes in [_slurm("SLURM_MEM_PER_NODE", target)] if megabytes]
    return min(in_gb, default=None)


_MEMORY_LIMITS = ("memory.max", "memory.limit_in_bytes")


def cgroup_folders(controller: str, target: Target | None = None) -> list[str]:
    """The target's cgroup and its ancestors, for version 2 and for a controller of version 1, below the root."""
    folders = []
    for names, place in (target or Target()).cgroup_places():
        if names == "":
            mounts = ["sys/fs/cgroup"]
        elif controller in names.split(","):
            mounts = [f"sys/fs/cgroup/{names}", f"sys/fs/cgroup/{controller}"]
        else:
            continue
        folders += [folder for mount in mounts for folder in _ancestors(mount, place)]
    return folders


def _ancestors(mount: str, place: str) -> list[str]:
    """`place` below a mount and all above it. In a container the mount may show the cgroup itself as its root."""
    parts = [part for part in place.split("/") if part and part != ".."]
    return ["/".join([mount, *parts[:count]]) for count in range(len(parts), -1, -1)]


def memory_info(field: str) -> float | None:
    """A field of /proc/meminfo in GB, or None."""
    for line in (read("proc", "meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return float(rest.split()[0]) * 1024 / GB
    return None


def _slurm(name: str, target: Target | None = None) -> float | None:
    if target is not None and not target.is_self:
        return None
    try:
        return float(os.environ[name]) or None
    except (KeyError, ValueError):
        return None
