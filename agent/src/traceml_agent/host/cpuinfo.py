"""The processor of this host: its name, sockets, cores and threads."""

from __future__ import annotations

import os

from traceml_agent.host import system


class Processor:
    """The host's CPU from /proc/cpuinfo: name, sockets, and physical cores and hardware threads of all sockets."""

    def __init__(self, name: str, sockets: int, cores: int, threads: int):
        self.name, self.sockets, self.cores, self.threads = name, sockets, cores, threads


def processor() -> Processor:
    """The host's processor. If the kernel reports no counts, the operating system's are used."""
    entries = [_entry(block) for block in (system.read("proc", "cpuinfo") or "").split("\n\n")]
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
    """Hardware threads per core, for when /proc/cpuinfo lists no cores, as on ARM and POWER."""
    return (
        system.counted(system.read("sys", "devices", "system", "cpu", "cpu0", "topology", "thread_siblings_list")) or 1
    )


def _name(entry: dict[str, str]) -> str:
    """The processor's name in /proc/cpuinfo, else the board's name, else that of its ARM core."""
    name = entry.get("model name", "")
    if not name or name.startswith("ARMv"):  # the architecture, not a model
        name = (system.read("proc", "device-tree", "model") or "").strip("\0") or _arm_name(entry) or name
    return name or entry.get("cpu") or _system_name()


#: ARM's cores by implementer and part number, with lscpu's names (util-linux, sys-utils/lscpu-arm.c).
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
#: The kernel does not say whose core it is, but cloud machines name their maker.
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
#: JEP106 code of NVIDIA and Tegra241, the chip of Grace: its cores are those of Graviton4 and Axion too.
GRACE = "jep106:036b:0241"


def _arm_name(entry: dict[str, str]) -> str:
    core = ARM_CORES.get(f"{entry.get('CPU implementer')}/{entry.get('CPU part')}", "")
    if system.read("sys", "devices", "soc0", "soc_id") == GRACE or (core == "Neoverse-V2" and _has_nvidia_driver()):
        return "NVIDIA Grace"
    vendor = (system.read("sys", "class", "dmi", "id", "sys_vendor") or "").partition(" ")[0]
    return CLOUDS.get(vendor, {}).get(core, core)


def _has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver is there. Cloud machines hide the chip, but combine these cores and GPUs only in
    Grace."""
    return os.path.exists(system.path("proc", "driver", "nvidia", "version"))


def _processor_without_proc() -> Processor:
    """The processor on macOS and Windows, or on a Linux with an empty /proc."""
    import psutil

    threads = os.cpu_count() or 1
    return Processor(_system_name(), 1, psutil.cpu_count(logical=False) or threads, threads)


def _system_name() -> str:
    import platform

    name = _registry_name() if os.name == "nt" else _sysctl("machdep.cpu.brand_string")
    return name or platform.processor() or f"{platform.machine() or 'unknown'} CPU"


def _sysctl(name: str) -> str:
    """A text from sysctlbyname(3) on macOS: `Apple M3 Max`, where `platform` says `arm`."""
    import ctypes

    text = ctypes.create_string_buffer(256)
    size = ctypes.c_size_t(len(text))
    try:
        failed = ctypes.CDLL(None).sysctlbyname(name.encode(), text, ctypes.byref(size), None, ctypes.c_size_t(0))
    except (AttributeError, OSError):
        return ""
    return "" if failed else text.value.decode(errors="replace").strip()


def _registry_name() -> str:
    """The processor's name from the Windows registry, where `platform` says `Intel64 Family 6 Model 158`."""
    winreg = __import__("winreg")
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    except OSError:
        return ""
