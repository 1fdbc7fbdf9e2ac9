"""AMD GPUs by amdsmi, if that is installed: energy accumulator, else power, else utilisation.

The library may answer "N/A" instead of any number that a card does not report.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from traceml_agent.host import forks, system
from traceml_agent.host.allocation import Target
from traceml_agent.sensors.modules import CPU, held_by, is_integrated
from traceml_agent.sensors.sensor import MOST_GPU_W, Reading, Sensor, facts, most_gpu_w
from traceml_agent.sensors.sharing import Sharing
from traceml_agent.sensors.source import COUNTER, SENSOR, EnergySource
from traceml_agent.sensors.unmeasured import leave_out
from traceml_agent.sensors.visibility import ALL_TAKEN, seen

#: Cards of two dies, of which one, usually the first, has the sensors of both and the other reads 0 W.
TWO_DIES = "MI250"
SIGNS = (("sys", "module", "amdgpu"), ("dev", "kfd"))
LIBRARY = "libamd_smi.so"
#: W: the mean since the driver was loaded, from a credible accumulator, is at least this. Some stay near zero until a
#: reboot [ROCm/amdsmi issue 38].
LEAST_MEAN_W = 1.0
#: Above this, a card's power cap is in µW, as in amdsmi since ROCm 6.1.2; below it is in W, as before.
MOST_CAP_W = 1e5
#: W: for unknown power, some versions of amdsmi 6 return the driver's 16 or 32 one-bits.
NOT_TOLD_W = (0xFFFF, 0xFFFFFFFF)
HALF = "Several dies share one counter; the job's share of it is an estimate"
REMEDY = "AMD GPUs are present but not measured: pip install amdsmi"
#: A processor's graphics get up to about 2 GB. More was set by a person, and deserves a warning.
LEAST_OF_A_CARD_GB = 4.0


def probe(scope: str, target: Target) -> Iterator[Sensor]:
    """The GPUs that the job sees, with the dies of one card together; with `scope="machine"` all GPUs."""
    if not any(os.path.exists(system.path(*sign)) for sign in SIGNS):
        return
    smi = _library()
    if smi is None:
        return
    smi.amdsmi_init()
    cards = [AmdCard(smi, index, handle) for index, handle in enumerate(smi.amdsmi_get_processor_handles())]
    packages = _packages(cards)
    chosen, note = (cards, "") if scope == "machine" else visible(cards, os.environ)
    for package in packages:
        dies = [card for card in package if card in chosen]
        if dies and not (package[0].is_integrated and not package[0].is_measured):
            yield AmdGpu(package, dies, note, None if scope == "machine" else target)


def _library():
    """The module amdsmi, or None. Without its library, importing it prints to stdout, so that is checked first."""
    with forks.loading():
        import importlib.util
    found = sys.modules.get("amdsmi") or importlib.util.find_spec("amdsmi")
    if found is None:
        if _has_card() or "libamdhip64" in (system.read("proc", "self", "maps") or ""):
            leave_out("AMD GPU", REMEDY)
        return None
    if not _library_is_there(getattr(found, "origin", None) or getattr(found, "__file__", None) or ""):
        leave_out("AMD GPU", f"amdsmi is installed, but {LIBRARY} is missing: install amd-smi-lib, or set ROCM_PATH")
        return None
    with forks.undivided():
        import amdsmi

    return amdsmi


def _has_card() -> bool:
    """Whether there is a card with memory of its own. Processor graphics have little, and their energy is the
    processor's."""
    root = system.path("sys", "class", "drm")
    names = os.listdir(root) if os.path.isdir(root) else []
    sizes = (
        system.number("sys", "class", "drm", name, "device", "mem_info_vram_total")
        for name in names
        if name.startswith("renderD")
    )
    return any(size and size >= LEAST_OF_A_CARD_GB * system.GB for size in sizes)


def _library_is_there(module: str) -> bool:
    """Whether amdsmi will find its library: in ROCm's folder, beside the module, or on the loader's path."""
    roots = [os.environ.get("ROCM_HOME", ""), os.environ.get("ROCM_PATH", ""), "/opt/rocm"]
    places = [os.path.join(root, "lib", LIBRARY) for root in roots if root]
    if any(map(os.path.exists, [*places, os.path.join(os.path.dirname(module), LIBRARY)])):
        return True
    with forks.loading():
        import ctypes
    try:
        return bool(ctypes.CDLL(LIBRARY))
    except OSError:
        return False


def visible(cards: list[AmdCard], environment) -> tuple[list[AmdCard], str]:
    """The cards that ROCR_VISIBLE_DEVICES allows, and of those the ones in HIP's list.

    The runtimes number them by the kernel's nodes, unlike amdsmi. Without a list of its own, HIP uses CUDA's.
    """
    ordered = sorted(cards, key=lambda card: card.order)
    hip = "HIP_VISIBLE_DEVICES" if "HIP_VISIBLE_DEVICES" in environment else "CUDA_VISIBLE_DEVICES"
    note = ""
    for name in ("ROCR_VISIBLE_DEVICES", hip):
        ordered, all_taken = seen(environment.get(name), dict(enumerate(ordered)))
        note = f"{name} {ALL_TAKEN}" if all_taken else note
    return ordered, note


def _packages(cards: list[AmdCard]) -> list[list[AmdCard]]:
    """The cards by the package whose counter has their energy: dies of an MI250, partitions of one GPU.

    One card of a package has its sensors, and is first here. A die beside it without sensors belongs to it.
    """
    packages: list[list[AmdCard]] = []
    for card in cards:
        if packages and card.completes(packages[-1]):
            packages[-1] = sorted([*packages[-1], card], key=lambda each: not each.is_measured)
        else:
            packages.append([card])
    return packages


class AmdCard:
    """A GPU, a die or a partition of one, as amdsmi lists it."""

    def __init__(self, smi, index: int, handle):
        self._smi, self.index, self._handle = smi, index, handle
        asic = self.ask("amdsmi_get_gpu_asic_info") or {}
        self.name = _text(asic.get("market_name")) or "AMD GPU"
        self.serial = _text(asic.get("asic_serial")).lower().removeprefix("0x")
        self.uuid = _text(self.ask("amdsmi_get_gpu_device_uuid"))
        ids = self.ask("amdsmi_get_gpu_enumeration_info") or self.ask("amdsmi_get_gpu_kfd_info") or {}
        self.uuids = (f"GPU-{self.serial}",)  # as ROCr calls it
        self.order = (_number(ids.get("hip_id", ids.get("node_id"))) or 0.0, index)
        self.limit_w = _cap_w(_number((self.ask("amdsmi_get_power_cap_info") or {}).get("power_cap")))
        self.is_integrated = is_integrated(self.name)
        self.has_counter = self._is_believable()
        self.is_measured = self.has_counter or bool(self.power_w())

    def ask(self, question: str, *arguments):
        """The answer, or None if this card or version does not know the question."""
        try:
            return getattr(self._smi, question)(self._handle, *arguments)
        except (self._smi.AmdSmiException, AttributeError):
            return None

    def completes(self, package: list[AmdCard]) -> bool:
        """Whether this one belongs to the package of those listed before it, of which at most one has sensors."""
        measured = [card for card in (*package, self) if card.is_measured]
        if len(measured) > 1:
            return False
        if self.serial and self.serial == package[0].serial:
            return bool(measured)
        return len(package) == 1 and TWO_DIES in self.name and self.name == package[0].name

    def _is_believable(self) -> bool:
        """Whether the accumulator's mean power since the driver was loaded is possible for such a card."""
        energy_j, count = self.energy_j(), self.ask("amdsmi_get_energy_count") or {}
        seconds = (_number(count.get("timestamp")) or 0.0) / 1e9
        if not energy_j:
            return False
        return not seconds or LEAST_MEAN_W <= energy_j / seconds <= most_gpu_w(self.limit_w)

    def memory_gb(self) -> float | None:
        total = self.ask("amdsmi_get_gpu_memory_total", self._smi.AmdSmiMemoryType.VRAM)
        return total / system.GB if total else None

    def energy_j(self) -> float | None:
        """Joules from the accumulator, which counts in units of its resolution in µJ (named `power` before amdsmi
        6.2.1)."""
        count = self.ask("amdsmi_get_energy_count") or {}
        ticks = _number(count.get("energy_accumulator", count.get("power")))
        return ticks * count["counter_resolution"] / 1e6 if ticks else None

    def power_w(self) -> float | None:
        """W: MI300 reports the current power, older cards and Radeons an average."""
        power = self.ask("amdsmi_get_power_info") or {}
        found = (_number(power.get(f"{when}_socket_power")) for when in ("current", "average"))
        return next((watts for watts in found if watts is not None and watts not in NOT_TOLD_W), None)

    def busy_share(self) -> float | None:
        percent = _number((self.ask("amdsmi_get_gpu_activity") or {}).get("gfx_activity"))
        return None if percent is None or percent > 100 else percent / 100

    def pids(self) -> list[int]:
        rows = self.ask("amdsmi_get_gpu_process_list") or []
        return [row["pid"] for row in rows if isinstance(row, dict) and isinstance(row.get("pid"), int)]


def _cap_w(told: float | None) -> float | None:
    """W of a power cap given in W or µW; None for none and for a driver's one-bits."""
    cap_w = None if told is None else told if told <= MOST_CAP_W else told / 1e6
    return cap_w if cap_w and cap_w <= MOST_GPU_W else None


def _text(value) -> str:
    return "" if value in (None, "N/A") else str(value)


def _number(value) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


class AmdGpu(Sensor):
    """What the job sees of a package: usually its only GPU, else some of the dies that share one counter."""

    every_s = 0.0
    is_divided = True

    def __init__(self, package: list[AmdCard], dies: list[AmdCard], note: str, target: Target | None):
        first = package[0]
        self._dies, self._share = dies, len(dies) / len(package)
        self._sharing = Sharing(self._pids, lambda: None, target) if target else None
        self.most_w = most_gpu_w(first.limit_w)
        self._source = EnergySource(first.energy_j if first.has_counter else lambda: None, first.power_w, self.most_w)
        self.facts = facts(f"amd-{dies[0].index}", "gpu", first.name, uuid=_uuid(package, dies[0]))
        self.facts |= {"memory_gb": _total([die.memory_gb() for die in dies]), "power_limit_w": first.limit_w}
        self.facts |= {"note": " ".join(each for each in (note, HALF if self._share < 1.0 else "") if each)}
        self.facts |= self._method()
        is_measured = bool(self.facts["basis"])
        self.replaces = (CPU,) if first.is_integrated else held_by(first.name, is_measured)

    def _pids(self) -> list[int]:
        return sorted({pid for die in self._dies for pid in die.pids()})

    def _method(self) -> dict[str, str]:
        if self._source.kind == COUNTER:
            return {"basis": COUNTER if self._share == 1.0 else SENSOR, "method": "amdsmi energy counter"}
        if self._source.kind == SENSOR:
            return {"basis": SENSOR, "method": "amdsmi power"}
        return {"basis": "", "method": "amdsmi utilisation"}

    def read(self) -> Reading | None:
        """Read now; None if the card does not answer."""
        self._look_for_strangers()
        busy = [share for share in (die.busy_share() for die in self._dies) if share is not None]
        reading = self._source.read(sum(busy) / len(busy) if busy else None, self._share)
        if self._source.trouble:
            self.trouble, self._source.trouble = self._source.trouble, ""
            self.facts |= self._method()
            self.add_note(f"During the run, {self.trouble}.")
        return reading

    def _look_for_strangers(self) -> None:
        if self._sharing is None:
            return
        self._sharing.part()  # use per process is unknown, so everything counts
        self.add_note(self._sharing.note)


def _uuid(package: list[AmdCard], die: AmdCard) -> str:
    """The die's own UUID, since each die may belong to another rank. Partitions of a GPU share one UUID."""
    is_unique = sum(other.uuid == die.uuid for other in package) == 1
    return die.uuid if is_unique or not die.uuid else f"{die.uuid}/{package.index(die)}"


def _total(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
