"""What the job holds of the host, by affinity, cgroup and scheduler."""

from __future__ import annotations

import os

from traceml_agent.host import system

#: For "no limit", cgroup v1 has a number near 2**63.
NO_LIMIT_BYTES = 2**60


class Target:
    """What is measured: this process and its children, another process and its children, or a cgroup by its path."""

    def __init__(self, pid: int | None = None, cgroup: str | None = None):
        self.pid = pid or os.getpid()
        self.cgroup = "/" + cgroup.removeprefix("/sys/fs/cgroup").strip("/") if cgroup else None
        self.is_self = self.pid == os.getpid() and not cgroup
        #: How often its counters must be read, in seconds. Those of others vanish with them, and what was not read is
        #: lost.
        self.every_s = 60.0 if self.is_self else 0.0

    def cgroup_places(self) -> list[tuple[str, str]]:
        """The cgroup's controllers and path, for each hierarchy; version 2 has an empty name."""
        if self.cgroup:
            return [(names, self.cgroup) for names in ("", "cpu,cpuacct", "cpu", "memory", "cpuset")]
        lines = (system.read("proc", "self" if self.is_self else str(self.pid), "cgroup") or "").splitlines()
        parts = [line.split(":", 2) for line in lines]
        return [(part[1], part[2]) for part in parts if len(part) == 3]

    def own_folders(self, controller: str) -> list[str]:
        """The folders of the cgroup itself, without its ancestors."""
        return [folder for folder in cgroup_folders(controller, self) if folder.endswith(str(self.cgroup))]

    def affinity(self) -> int | None:
        """The number of hardware threads that it may run on."""
        if self.cgroup:
            return self._cpuset()
        if not hasattr(os, "sched_getaffinity"):
            return None
        try:
            return len(os.sched_getaffinity(0 if self.is_self else self.pid))
        except OSError:
            return None

    def _cpuset(self) -> int | None:
        """The number of CPUs that the cgroup, or its nearest ancestor with a cpuset, may run on; version 2 and 1."""
        folders = cgroup_folders("cpuset", self)
        counts = (system.counted(system.read(folder, name)) for folder in folders for name in _CPUSETS)
        return next((count for count in counts if count), None)


_CPUSETS = ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus")


def allocated_threads(
    host_threads: int, ranks: int = 1, target: Target | None = None, shares_affinity: bool = False
) -> float:
    """Hardware threads that the target may use: the minimum of affinity, cgroup quota and the scheduler's grant.

    What the `ranks` of a job share on the host is divided, so each reports its part. Ranks share their affinity if the
    launcher did not bind them to cores of their own.
    """
    target = target or Target()
    common = [float(host_threads), cgroup_threads(target), _slurm("SLURM_CPUS_ON_NODE", target)]
    own = [_slurm("SLURM_CPUS_PER_TASK", target)]
    (common if shares_affinity else own).append(target.affinity())
    return min([limit / ranks for limit in common if limit] + [limit for limit in own if limit])


def cgroup_threads(target: Target | None = None) -> float | None:
    """CPUs that the cgroup's quota allows, the minimum over all ancestors; None without a quota."""
    quotas = []
    for folder in cgroup_folders("cpu", target):
        quota, _, period = (system.read(folder, "cpu.max") or "").partition(" ")
        if not period:
            quota, period = (
                system.read(folder, "cpu.cfs_quota_us") or "",
                system.read(folder, "cpu.cfs_period_us") or "",
            )
        if quota.isdigit() and period.isdigit() and int(quota) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def allocated_gb(target: Target | None = None) -> float | None:
    """GB of memory to which a cgroup or the scheduler limits the target; None without a limit."""
    limits = [system.number(folder, name) for folder in cgroup_folders("memory", target) for name in _MEMORY_LIMITS]
    in_gb = [limit / system.GB for limit in limits if limit and limit < NO_LIMIT_BYTES]
    granted_gb = _slurm_gb() if target is None or target.is_self else None
    return min(in_gb + ([granted_gb] if granted_gb else []), default=None)


def _slurm_gb() -> float | None:
    """GB that SLURM granted on this host: per node, per CPU or per GPU, as the job requested."""
    for name, number in (("NODE", lambda: 1.0), ("CPU", _slurm_cpus), ("GPU", _slurm_gpus)):
        megabytes = _megabytes(os.environ.get(f"SLURM_MEM_PER_{name}", "").strip().upper())
        if megabytes and (count := number()):
            return megabytes * count * 2**20 / system.GB
    return None


_IN_MB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


def _megabytes(size: str) -> float:
    """MB of a size as SLURM writes it, in MB or with a unit: `16384`, `16G`. 0 means all of the node."""
    number, unit = (size[:-1], size[-1]) if size[-1:] in _IN_MB else (size, "M")
    return float(number) * _IN_MB[unit] if number.replace(".", "", 1).isdecimal() else 0.0


def _slurm_cpus() -> float | None:
    """CPUs of the job on this host. For several hosts, `SLURM_JOB_CPUS_PER_NODE` is like `16(x3),8`."""
    first = os.environ.get("SLURM_JOB_CPUS_PER_NODE", "").partition(",")[0].partition("(")[0]
    return _slurm("SLURM_CPUS_ON_NODE") or (float(first) if first.isdecimal() else Target().affinity())


def _slurm_gpus() -> float | None:
    """GPUs of the job on this host, from a number, `a100:2`, or a list such as `0,2-3`."""
    of_job = os.environ.get("SLURM_GPUS", "") if os.environ.get("SLURM_JOB_NUM_NODES", "1") == "1" else ""
    by_kind = (os.environ.get("SLURM_GPUS_PER_NODE") or of_job).split(",")
    told = sum(float(count) for count in (part.rpartition(":")[2] for part in by_kind) if count.isdigit())
    listed = os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS") or ""
    in_list = system.counted(listed) or (len(listed.split(",")) if listed else 0)
    return _slurm("SLURM_GPUS_ON_NODE") or told or float(in_list) or None


_MEMORY_LIMITS = ("memory.max", "memory.limit_in_bytes")


def cgroup_folders(controller: str, target: Target | None = None) -> list[str]:
    """The folders of the target's cgroup and its ancestors, for version 2 and for a controller of version 1."""
    folders = []
    for names, place in (target or Target()).cgroup_places():
        if names == "":
            mounts = ["sys/fs/cgroup"]
        elif controller in names.split(","):
            mounts = [f"sys/fs/cgroup/{names}", f"sys/fs/cgroup/{controller}"]
        else:
            continue
        folders += [folder for mount in mounts for folder in _ancestors(mount, place)]
    return list(dict.fromkeys(folders))


def _ancestors(mount: str, place: str) -> list[str]:
    """`place` below a mount, and all folders above it. In a container the mount's root may be the cgroup itself."""
    parts = [part for part in place.split("/") if part and part != ".."]
    return ["/".join([mount, *parts[:count]]) for count in range(len(parts), -1, -1)]


def _slurm(name: str, target: Target | None = None) -> float | None:
    if target is not None and not target.is_self:
        return None
    try:
        return float(os.environ[name]) or None
    except (KeyError, ValueError):
        return None
