"""Files of /proc and /sys, below a settable root, and what they say of the job's allocation.

`TRACEML_AGENT_ROOT` puts another folder in the place of `/`: the host's, mounted into a container, or a tree that a
test built.
"""

from __future__ import annotations

import os

GB = 1e9
#: cgroup v1 says "no limit" by a number near 2**63.
NO_LIMIT_BYTES = 2**60
AT_ONCE_BYTES = 64 * 1024


def path(*parts: str) -> str:
    """A path below the root: `path("proc", "stat")`."""
    return os.path.join(os.environ.get("TRACEML_AGENT_ROOT") or "/", *(part.lstrip("/") for part in parts))


def read(*parts: str) -> str | None:
    """A small file's text without surrounding white space, or None where it can't be read.

    By bare descriptors: each call lets go of the interpreter, and `open()` makes three times as many.
    """
    try:
        descriptor = os.open(path(*parts), os.O_RDONLY)
    except OSError:
        return None
    try:
        return b"".join(iter(lambda: os.read(descriptor, AT_ONCE_BYTES), b"")).decode(errors="replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)


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
    if not entries:
        return _processor_without_proc()
    places = {(e.get("physical id", "0"), e["core id"]) for e in entries if "core id" in e}
    sockets = len({place[0] for place in places}) or 1
    cores = len(places) or max(len(entries) // _threads_a_core(), 1)
    return Processor(_name(entries[0]), sockets, cores, len(entries))


def _entry(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _threads_a_core() -> int:
    """Hardware threads of a core where /proc/cpuinfo tells no cores, as on ARM and POWER."""
    return counted(read("sys", "devices", "system", "cpu", "cpu0", "topology", "thread_siblings_list")) or 1


def counted(cpus: str | None) -> int | None:
    """How many CPUs the kernel's list names: 6 in `0-3,8,10`; None for an empty list or what is none."""
    try:
        ranges = [[int(end) for end in part.split("-")] for part in (cpus or "").split(",")]
    except ValueError:
        return None
    return sum(each[-1] - each[0] + 1 for each in ranges)


def _name(entry: dict[str, str]) -> str:
    """What /proc/cpuinfo calls a processor, else the board's name, else that of its ARM core."""
    name = entry.get("model name", "")
    if not name or name.startswith("ARMv"):  # the architecture, which tells no model
        name = (read("proc", "device-tree", "model") or "").strip("\0") or _arm_name(entry) or name
    return name or entry.get("cpu") or _system_name()


#: ARM's cores by implementer and part number, named as lscpu does (util-linux, sys-utils/lscpu-arm.c).
ARM_CORES = {
    "0x41/0xd08": "Cortex-A72",
    "0x41/0xd0c": "Neoverse-N1",
    "0x41/0xd40": "Neoverse-V1",
    "0x41/0xd49": "Neoverse-N2",
    "0x41/0xd4f": "Neoverse-V2",
    "0x41/0xd84": "Neoverse-V3",
    "0x43/0x0af": "ThunderX2-99xx",
    "0x46/0x001": "A64FX",
    "0x48/0xd01": "Kunpeng-920",
    "0xc0/0xac3": "Ampere-1",
    "0xc0/0xac4": "Ampere-1a",
}
#: Whose core it is the kernel does not tell: clouds' machines name their maker.
CLOUDS = {
    "Amazon": {
        "Cortex-A72": "AWS Graviton",
        "Neoverse-N1": "AWS Graviton2",
        "Neoverse-V1": "AWS Graviton3",
        "Neoverse-V2": "AWS Graviton4",
        "Neoverse-V3": "AWS Graviton5",
    },
    "Google": {"Neoverse-V2": "Google Axion"},
    "Microsoft": {"Neoverse-N2": "Azure Cobalt 100", "Neoverse-V3": "Azure Cobalt 200"},
}
#: JEP106 code of NVIDIA and Tegra241, the chip of Grace: its cores are Graviton4's and Axion's as well.
GRACE = "jep106:036b:0241"


def _arm_name(entry: dict[str, str]) -> str:
    core = ARM_CORES.get(f"{entry.get('CPU implementer')}/{entry.get('CPU part')}", "")
    if read("sys", "devices", "soc0", "soc_id") == GRACE or (core == "Neoverse-V2" and _has_nvidia_driver()):
        return "NVIDIA Grace"
    vendor = (read("sys", "class", "dmi", "id", "sys_vendor") or "").partition(" ")[0]
    return CLOUDS.get(vendor, {}).get(core, core)


def _has_nvidia_driver() -> bool:
    """Clouds' virtual machines hide the chip, and rent GPUs beside these cores with Grace alone (A4X, P6e-GB200)."""
    return os.path.exists(path("proc", "driver", "nvidia", "version"))


def _processor_without_proc() -> Processor:
    """macOS and Windows, or a Linux whose /proc tells nothing."""
    import psutil

    threads = os.cpu_count() or 1
    return Processor(_system_name(), 1, psutil.cpu_count(logical=False) or threads, threads)


def _system_name() -> str:
    import platform

    name = _registry_name() if os.name == "nt" else _sysctl("machdep.cpu.brand_string")
    return name or platform.processor() or f"{platform.machine() or 'unknown'} CPU"


def _sysctl(name: str) -> str:
    """A text of the kernel by sysctlbyname(3), which macOS has: `Apple M3 Max`, where `platform` says `arm`."""
    import ctypes

    text = ctypes.create_string_buffer(256)
    size = ctypes.c_size_t(len(text))
    try:
        failed = ctypes.CDLL(None).sysctlbyname(name.encode(), text, ctypes.byref(size), None, ctypes.c_size_t(0))
    except (AttributeError, OSError):
        return ""
    return "" if failed else text.value.decode(errors="replace").strip()


def _registry_name() -> str:
    """The processor's name from Windows' registry, where `platform` says `Intel64 Family 6 Model 158`."""
    winreg = __import__("winreg")
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    except OSError:
        return ""


class Target:
    """What is measured: this process and its children, another process and its own, or a cgroup by its path."""

    def __init__(self, pid: int | None = None, cgroup: str | None = None):
        self.pid = pid or os.getpid()
        self.cgroup = "/" + cgroup.removeprefix("/sys/fs/cgroup").strip("/") if cgroup else None
        self.is_self = self.pid == os.getpid() and not cgroup
        #: How often its counters have to be read at least. Those of others vanish with them: what was not read is lost.
        self.every_s = 60.0 if self.is_self else 0.0

    def cgroup_places(self) -> list[tuple[str, str]]:
        """The cgroup's controllers and path, by hierarchy; an empty name is version 2."""
        if self.cgroup:
            return [(names, self.cgroup) for names in ("", "cpu,cpuacct", "cpu", "memory", "cpuset")]
        lines = (read("proc", "self" if self.is_self else str(self.pid), "cgroup") or "").splitlines()
        parts = [line.split(":", 2) for line in lines]
        return [(part[1], part[2]) for part in parts if len(part) == 3]

    def own_folders(self, controller: str) -> list[str]:
        """The folders of the cgroup itself, without its ancestors."""
        return [folder for folder in cgroup_folders(controller, self) if folder.endswith(str(self.cgroup))]

    def affinity(self) -> int | None:
        """Hardware threads that the scheduler lets it run on."""
        if self.cgroup:
            return self._cpuset()
        if not hasattr(os, "sched_getaffinity"):
            return None
        try:
            return len(os.sched_getaffinity(0 if self.is_self else self.pid))
        except OSError:
            return None

    def _cpuset(self) -> int | None:
        """CPUs that the cgroup, or the nearest of its ancestors that says so, may run on; version 2 and 1."""
        folders = cgroup_folders("cpuset", self)
        counts = (counted(read(folder, name)) for folder in folders for name in _CPUSETS)
        return next((count for count in counts if count), None)


_CPUSETS = ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus")


def allocated_threads(
    host_threads: int, ranks: int = 1, target: Target | None = None, shares_affinity: bool = False
) -> float:
    """Hardware threads that the target may use: the least of affinity, cgroup quota and what the scheduler gave it.

    What the `ranks` of a job share on the host is divided: each reports its part, together they report all. Affinity
    is shared by ranks that their launcher did not bind to cores of their own.
    """
    target = target or Target()
    common = [float(host_threads), cgroup_threads(target), _slurm("SLURM_CPUS_ON_NODE", target)]
    own = [_slurm("SLURM_CPUS_PER_TASK", target)]
    (common if shares_affinity else own).append(target.affinity())
    return min([limit / ranks for limit in common if limit] + [limit for limit in own if limit])


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
    granted_gb = _slurm_gb() if target is None or target.is_self else None
    return min(in_gb + ([granted_gb] if granted_gb else []), default=None)


def _slurm_gb() -> float | None:
    """GB that SLURM granted on this host: by node, by CPU or by GPU, whichever the job asked for."""
    for name, number in (("NODE", lambda: 1.0), ("CPU", _slurm_cpus), ("GPU", _slurm_gpus)):
        megabytes = _megabytes(os.environ.get(f"SLURM_MEM_PER_{name}", "").strip().upper())
        if megabytes and (count := number()):
            return megabytes * count * 2**20 / GB
    return None


_IN_MB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


def _megabytes(size: str) -> float:
    """MB of a size as SLURM writes it, in MB or with a unit: `16384`, `16G`; 0 is all of the node's."""
    number, unit = (size[:-1], size[-1]) if size[-1:] in _IN_MB else (size, "M")
    return float(number) * _IN_MB[unit] if number.replace(".", "", 1).isdecimal() else 0.0


def _slurm_cpus() -> float | None:
    """CPUs of the job on this host; of several hosts `SLURM_JOB_CPUS_PER_NODE` tells them as `16(x3),8`."""
    first = os.environ.get("SLURM_JOB_CPUS_PER_NODE", "").partition(",")[0].partition("(")[0]
    return _slurm("SLURM_CPUS_ON_NODE") or (float(first) if first.isdecimal() else Target().affinity())


def _slurm_gpus() -> float | None:
    """GPUs of the job on this host: a number, `a100:2`, or a list of them such as `0,2-3`."""
    of_job = os.environ.get("SLURM_GPUS", "") if os.environ.get("SLURM_JOB_NUM_NODES", "1") == "1" else ""
    by_kind = (os.environ.get("SLURM_GPUS_PER_NODE") or of_job).split(",")
    told = sum(float(count) for count in (part.rpartition(":")[2] for part in by_kind) if count.isdigit())
    listed = os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS") or ""
    in_list = counted(listed) or (len(listed.split(",")) if listed else 0)
    return _slurm("SLURM_GPUS_ON_NODE") or told or float(in_list) or None


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
    return list(dict.fromkeys(folders))


def _ancestors(mount: str, place: str) -> list[str]:
    """`place` below a mount and all above it. In a container the mount may show the cgroup itself as its root."""
    parts = [part for part in place.split("/") if part and part != ".."]
    return ["/".join([mount, *parts[:count]]) for count in range(len(parts), -1, -1)]


def memory_info(field: str) -> float | None:
    """A field of /proc/meminfo in GB, or None."""
    for line in (read("proc", "meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return float((rest.split() or ["0"])[0]) * 1024 / GB or None
    return None


def _slurm(name: str, target: Target | None = None) -> float | None:
    if target is not None and not target.is_self:
        return None
    try:
        return float(os.environ[name]) or None
    except (KeyError, ValueError):
        return None


def local_rank() -> int:
    """This process's number among the job's ranks on this host, by torchrun, SLURM, Open MPI and Intel MPI."""
    names = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), 0)
