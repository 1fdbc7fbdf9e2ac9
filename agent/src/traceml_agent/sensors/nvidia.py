"""NVIDIA GPUs by NVML: which of them the job sees, and their energy counter, power sensor and utilisation.

NVML's indices differ from CUDA's, so devices are identified by UUID. No CUDA context is ever created.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from traceml_agent.host import forks, system
from traceml_agent.host.allocation import Target
from traceml_agent.messages import warn
from traceml_agent.sensors.modules import held_by
from traceml_agent.sensors.sensor import MOST_GPU_W, Reading, Sensor, facts, most_gpu_w
from traceml_agent.sensors.sharing import SPLIT, Sharing
from traceml_agent.sensors.source import COUNTER, SENSOR, EnergySource
from traceml_agent.sensors.unmeasured import leave_out
from traceml_agent.sensors.visibility import ALL_TAKEN, seen

LIBRARY = "libnvidia-ml.so.1"
#: MIG slices of a whole GPU, if the driver does not report the maximum.
MIG_SLICES = 7
#: Some drivers return nonsense rows beside those of processes [Syllo/nvtop issue 110, NVIDIA/DCGM issue 83].
MOST_PERCENT = 100
#: Functions without which a GPU is measured worse, or a slice can't be told from the whole.
WANTED = (
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetProcessUtilization",
)
REMEDY = "pip uninstall -y nvidia-ml-py3 pynvml; pip install --force-reinstall nvidia-ml-py"


def probe(scope: str, target: Target) -> Iterator[Sensor]:
    """The GPUs, or the MIG slice, that the job sees; with `scope="machine"` all whole GPUs."""
    if not _driver_may_be_there():
        return
    nvml = _started()
    if nvml is None:
        return
    boards, wants = dict(_boards(nvml)), _wants(nvml)
    if wants:
        warn(wants)
    if scope == "machine":
        for board in boards.values():
            yield NvidiaGpu(nvml, board, wants)
        return
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen, note = visible(listed, boards, os.environ.get("CUDA_DEVICE_ORDER", ""))
    given = of_one_process(chosen)
    if chosen and not given:
        leave_out("NVIDIA GPU", "The NVIDIA GPU has MIG enabled, but no slice for this process, so it is not measured")
    for each in given:
        yield NvidiaGpu(
            nvml, each, " ".join(filter(None, (note, wants))), None if isinstance(each, MigSlice) else target
        )


def _started():
    """The module pynvml, with NVML initialised; None if that fails, with a warning if there may be a GPU."""
    try:
        with forks.undivided():
            import pynvml
    except ImportError as error:
        raise ImportError(f"{error}; to fix it: {REMEDY}") from error
    needed = ("nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "NVMLError")
    missing = [name for name in needed if not hasattr(pynvml, name)]
    if missing:
        leave_out("NVIDIA GPU", f"NVIDIA GPUs are not measured, because pynvml has no {missing[0]}: {REMEDY}")
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if type(error).__name__ != "NVMLError_LibraryNotFound":
            leave_out(
                "NVIDIA GPU",
                f"NVML does not start ({error}), so GPUs are not measured. After a driver update, reboot.",
            )
        elif os.path.exists(system.path("dev", "nvidiactl")):
            remedy = "in a container set NVIDIA_DRIVER_CAPABILITIES=compute,utility"
            leave_out("NVIDIA GPU", f"NVIDIA GPUs are not measured, because {LIBRARY} is missing: {remedy}")
        return None
    return pynvml


def _wants(nvml) -> str:
    """The remedy if the module lacks a function, as nvidia-ml-py3 of 2019 does, which has the same module name."""
    missing = [name for name in WANTED if not hasattr(nvml, name)]
    return f"pynvml has no {missing[0]}, so less can be measured: {REMEDY}" if missing else ""


def _boards(nvml) -> Iterator[tuple[int, NvidiaBoard]]:
    """The boards by NVML's index. One that fell off the bus must not affect the others."""
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            yield index, NvidiaBoard(nvml, index, nvml.nvmlDeviceGetHandleByIndex(index))
        except nvml.NVMLError as error:
            leave_out(f"NVIDIA GPU {index}", f"GPU {index} can't be read ({error}); it is left out")


def _driver_may_be_there() -> bool:
    """Whether there are cheap signs of a driver: without one, neither ctypes nor pynvml is loaded."""
    if os.name == "nt" or any(os.path.exists(system.path(*place)) for place in SIGNS):
        return True
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return any(os.path.exists(os.path.join(folder, LIBRARY)) for folder in folders if folder)


SIGNS = (("proc", "driver", "nvidia", "version"), ("dev", "nvidiactl"), ("dev", "dxg"))


def visible(listed: str | None, boards: dict[int, NvidiaBoard], order: str) -> tuple[list[NvidiaBoard | MigSlice], str]:
    """The boards and slices that CUDA_VISIBLE_DEVICES allows, and a note if that is uncertain."""
    chosen, all_taken = seen(listed, boards, [each for board in boards.values() for each in board.slices])
    if all_taken:
        return chosen, f"CUDA_VISIBLE_DEVICES {ALL_TAKEN}"
    by_number = any(entry.strip().isdigit() for entry in (listed or "").split(","))
    alike = len({board.name for board in boards.values()}) == 1
    if not (chosen and by_number) or alike or order == "PCI_BUS_ID":
        return chosen, ""
    return chosen, "CUDA may number the GPUs in another order: set CUDA_DEVICE_ORDER=PCI_BUS_ID"


def of_one_process(chosen: list[NvidiaBoard | MigSlice]) -> list[NvidiaBoard | MigSlice]:
    """What CUDA gives a process of these: only the first slice if there is one, else the boards.

    It enumerates a single compute instance and then no whole GPU, however many are visible and however they were named
    [NVIDIA's MIG user guide, "Device Enumeration"].
    """
    slices: list[NvidiaBoard | MigSlice] = []
    for one in chosen:
        slices += one.slices if isinstance(one, NvidiaBoard) else [one]
    return slices[:1] or [one for one in chosen if isinstance(one, NvidiaBoard) and not one.is_mig]


def ask(nvml, question: str, *arguments):
    """The answer, or None if the GPU, the driver or an older pynvml does not know the question."""
    try:
        return getattr(nvml, question)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


class MigSlice:
    """A MIG device: a part of a board that is a GPU to CUDA. Power is only reported for the whole board."""

    def __init__(self, nvml, board: NvidiaBoard, number: int, handle):
        self.board, self.name, self.handle = board, board.name, board.handle
        self.key = f"{board.key}.{number}"
        self.uuid = _text(ask(nvml, "nvmlDeviceGetUUID", handle))
        place = [ask(nvml, f"nvmlDeviceGet{kind}InstanceId", handle) for kind in ("Gpu", "Compute")]
        self.uuids = (self.uuid, "/".join(["MIG-" + board.uuid, *map(str, place)]))
        held, whole = _compute_slices(nvml, handle), board.most_slices
        self.share = min(held / whole, 1.0)
        self.note = f"NVML reports the power of the whole board only; {held}/{whole} of it is an estimate"


def _compute_slices(nvml, handle) -> int:
    """The compute slices of a MIG device, 1 for `1c.3g.20gb`; 1 if unknown."""
    sizes = ask(nvml, "nvmlDeviceGetAttributes", handle)
    return getattr(sizes, "computeInstanceSliceCount", 0) or getattr(sizes, "gpuInstanceSliceCount", 0) or 1


class NvidiaBoard:
    """A GPU as NVML lists it, with its MIG slices."""

    share, note = 1.0, ""

    def __init__(self, nvml, index: int, handle):
        """Raises NVMLError if the GPU was lost."""
        self._nvml, self.handle, self.key = nvml, handle, f"gpu-{index}"
        # From a moment ago: 0 asks for everything that the driver remembers, including processes that ended long ago.
        self._told_us = int((time.time() - 1.0) * 1e6)
        self.board = self
        self.uuid = _text(nvml.nvmlDeviceGetUUID(handle)) if hasattr(nvml, "nvmlDeviceGetUUID") else ""
        self.name = _text(nvml.nvmlDeviceGetName(handle)) if hasattr(nvml, "nvmlDeviceGetName") else "NVIDIA GPU"
        self.uuids = (self.uuid,)
        mode = self.ask("nvmlDeviceGetMigMode")
        self.is_mig = bool(mode and mode[0])
        # The number of the smallest slices: 7 on most GPUs, 4 on an A30.
        self.most_slices = (self.ask("nvmlDeviceGetMaxMigDeviceCount") or MIG_SLICES) if self.is_mig else 0
        self.slices = list(self._mig_slices())

    def _mig_slices(self) -> Iterator[MigSlice]:
        for number in range(self.most_slices):
            handle = self.ask("nvmlDeviceGetMigDeviceHandleByIndex", number)
            if handle is not None:
                yield MigSlice(self._nvml, self, number, handle)

    def ask(self, question: str, *arguments):
        """The answer about this GPU, or None if it is unknown."""
        return ask(self._nvml, question, self.handle, *arguments)

    def energy_j(self) -> float | None:
        """Joules since the driver was loaded; None if there is no such counter, or none any more."""
        millijoules = self.ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if millijoules is None else millijoules / 1000

    def power_w(self) -> float | None:
        milliwatts = self.ask("nvmlDeviceGetPowerUsage")
        return None if milliwatts is None else milliwatts / 1000

    def pids(self) -> list[int]:
        return [row.pid for row in self.ask("nvmlDeviceGetComputeRunningProcesses") or []]

    def uses(self) -> list[tuple[int, float]] | None:
        """Each process's use of the multiprocessors since the last call; None if NVML does not say."""
        try:
            rows = self._nvml.nvmlDeviceGetProcessUtilization(self.handle, self._told_us)
        except AttributeError:
            return None
        except self._nvml.NVMLError as error:
            # Nobody was busy since the last call.
            return [] if type(error).__name__ == "NVMLError_NotFound" else None
        self._told_us = max((row.timeStamp for row in rows), default=self._told_us)
        return [(row.pid, row.smUtil) for row in rows if row.smUtil <= MOST_PERCENT]


class NvidiaGpu(Sensor):
    """A GPU or a slice of one: its energy counter if that works, else the power sensor, else utilisation.

    Without a target, the use of other processes counts too.
    """

    every_s = 0.0
    is_divided, is_split = True, False

    def __init__(self, nvml, gpu: NvidiaBoard | MigSlice, note: str = "", target: Target | None = None):
        self._nvml, self._board, self._share = nvml, gpu.board, gpu.share
        self._sharing = Sharing(gpu.board.pids, gpu.board.uses, target) if target else None
        self._told = {""}
        memory = self._board.ask("nvmlDeviceGetMemoryInfo")
        limit_mw = self._board.ask("nvmlDeviceGetEnforcedPowerLimit")
        limit_w = limit_mw / 1000 if limit_mw and limit_mw / 1000 <= MOST_GPU_W else None
        self.most_w = most_gpu_w(limit_w)
        self._source = EnergySource(gpu.board.energy_j, gpu.board.power_w, self.most_w)
        notes = " ".join(filter(None, (gpu.note, note)))
        self.facts = facts(gpu.key, "gpu", gpu.name, uuid=gpu.uuid, share=gpu.share, note=notes)
        self.facts |= {"memory_gb": memory.total / system.GB if memory else None, "power_limit_w": limit_w}
        self.facts |= self._method()
        self.replaces = held_by(gpu.name, is_measured=bool(self.facts["basis"]))

    def _method(self) -> dict[str, str]:
        """Basis and method, from the source of the joules."""
        if not self._source.kind:
            return {"basis": "", "method": "NVML utilisation"}
        is_split, what = SPLIT in self._told, "energy counter" if self._source.kind == COUNTER else "power sensor"
        # A part of a board's energy is calculated, so its basis claims less than a counter.
        basis = COUNTER if self._source.kind == COUNTER and self._share == 1.0 and not is_split else SENSOR
        return {"basis": basis, "method": f"NVML {what}, the job's part" if is_split else f"NVML {what}"}

    def read(self) -> Reading | None:
        """Read now. Raises NVMLError if the GPU was lost."""
        part = self._part()
        # NVML reports no utilisation for a slice, and that of the board is not the slice's.
        used = self._board.ask("nvmlDeviceGetUtilizationRates") if not self._board.is_mig else None
        reading = self._source.read(used.gpu / 100 * part if used is not None else None, part)
        if reading is None and used is None:
            self._nvml.nvmlDeviceGetPowerUsage(self._board.handle)  # nothing answers: raises if the GPU was lost
        if self._source.trouble:
            self._go_on()
        return reading

    def _go_on(self) -> None:
        """Report that a source of joules stopped, and what is used from now on."""
        self.trouble, self._source.trouble = self._source.trouble, ""
        self.facts |= self._method()
        self.add_note(f"During the run, {self.trouble}.")

    def _part(self) -> float:
        """The job's part of the board: its slice, or its use beside strangers."""
        if self._sharing is None:
            return self._share
        part = self._sharing.part()
        self.is_split = self._sharing.note == SPLIT
        if self._sharing.note not in self._told:
            self._say_shared(self._sharing.note)
        return part

    def _say_shared(self, note: str) -> None:
        """Note that part of the run was shared. The note stays."""
        self._told.add(note)
        self.add_note(note)
        self.facts |= self._method()


def _text(value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
