"""NVIDIA GPUs by NVML: which of them the job sees, and their energy counter, power sensor and utilisation.

NVML's indices are not CUDA's, so devices are told apart by UUID. No CUDA context is ever made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from traceml_agent import host
from traceml_agent.messages import warn
from traceml_agent.sensors import Reading, Sensor, facts
from traceml_agent.sensors.sharing import Sharing

#: A whole GPU has seven compute slices.
MIG_SLICES = 7
LIBRARY = "libnvidia-ml.so.1"
#: Modules whose power holds that of the CPU: adding the CPU's again would count it twice.
MODULES = ("GH200", "GB10", "Orin", "Xavier", "Thor")


def probe(scope: str, target: host.Target) -> Iterator[Sensor]:
    """The GPUs, or MIG slices of them, that the job sees; all of them with `scope="machine"`."""
    if not _driver_may_be_there():
        return
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return
    except pynvml.NVMLError as error:
        warn(f"NVML does not start ({error}); after a driver update a reboot mends it. GPUs are not measured.")
        return
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    boards = [Board(pynvml, index, handle) for index, handle in enumerate(handles)]
    listed = None if scope == "machine" else os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen, note = visible(listed, boards, os.environ.get("CUDA_DEVICE_ORDER", ""))
    for board in chosen:
        yield from board.sensors(listed, note, None if scope == "machine" else target)


def _driver_may_be_there() -> bool:
    """Cheap signs of a driver: without one neither ctypes nor pynvml need be loaded."""
    if os.name == "nt" or any(os.path.exists(host.path(*place)) for place in _SIGNS):
        return True
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return any(os.path.exists(os.path.join(folder, LIBRARY)) for folder in folders if folder)


_SIGNS = (("proc", "driver", "nvidia", "version"), ("dev", "nvidiactl"), ("dev", "dxg"))


def visible(listed: str | None, boards: list, order: str) -> tuple[list, str]:
    """The boards that CUDA_VISIBLE_DEVICES leaves, and a note where that is not certain.

    Anything with `uuid`, `name` and `mig_uuids` is a board. As CUDA does, the list ends at its first invalid entry, and
    an empty one means no GPU.
    """
    if listed is None:
        return boards, ""
    entries = [entry.strip() for entry in listed.split(",")]
    numbers = [int(entry) for entry in entries if entry.isdigit()]
    if numbers and len(numbers) == len(entries) and min(numbers) >= len(boards) > 0:
        return (
            boards,
            "CUDA_VISIBLE_DEVICES names others than are listed, as in a container: all listed are taken",
        )
    chosen: list = []
    for entry in entries:
        board = _named(entry, boards)
        if board is None:
            break
        if board not in chosen:
            chosen.append(board)
    is_certain = not numbers or order == "PCI_BUS_ID" or len({board.name for board in boards}) == 1
    doubt = "CUDA may number the GPUs in another order: set CUDA_DEVICE_ORDER=PCI_BUS_ID"
    return chosen, "" if is_certain or not chosen else doubt


def _named(entry: str, boards: list):
    """The board of an index, of a UUID or the beginning of one, or of one of its MIG slices."""
    if entry.isdigit():
        return boards[int(entry)] if int(entry) < len(boards) else None
    if entry.startswith("MIG-GPU-"):  # before driver 470: MIG-GPU-<uuid>/<gpu instance>/<compute instance>
        entry = entry.removeprefix("MIG-").partition("/")[0]
    found = [b for b in boards if entry and any(u.startswith(entry) for u in (b.uuid, *b.mig_uuids))]
    return found[0] if len(found) == 1 else None


class Board:
    """A GPU as NVML lists it, with the MIG slices that it is cut into."""

    def __init__(self, nvml, index: int, handle):
        self._nvml, self._index, self.handle = nvml, index, handle
        self.uuid = _text(nvml.nvmlDeviceGetUUID(handle))
        self.name = _text(nvml.nvmlDeviceGetName(handle))
        self.slices = dict(self._mig_slices())
        self.mig_uuids = list(self.slices)

    def _mig_slices(self) -> Iterator[tuple[str, int]]:
        """UUID and number of compute slices of each MIG device."""
        nvml = self._nvml
        mode = self.ask(nvml.nvmlDeviceGetMigMode)
        if not mode or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return
        for index in range(self.ask(nvml.nvmlDeviceGetMaxMigDeviceCount) or 0):
            slice_ = self.ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, index)
            if slice_ is not None:
                attributes = nvml.nvmlDeviceGetAttributes(slice_)
                yield _text(nvml.nvmlDeviceGetUUID(slice_)), attributes.gpuInstanceSliceCount

    def ask(self, question, *arguments):
        """The answer, or None where this GPU or driver does not know the question."""
        try:
            return question(self.handle, *arguments)
        except self._nvml.NVMLError:
            return None

    def sensors(self, listed: str | None, note: str, target: host.Target | None) -> Iterator[Sensor]:
        """The whole board, or each of its slices that the job sees; without a target strangers' use counts as well."""
        if not self.slices:
            sharing = Sharing(self._nvml, self.ask, target) if target else None
            yield Gpu(self._nvml, self, f"gpu-{self._index}", self.uuid, 1.0, note, sharing)
            return
        for number, (uuid, count) in enumerate(self.slices.items()):
            if listed is None or any(uuid.startswith(entry.strip()) for entry in listed.split(",") if "MIG" in entry):
                share = min(count / MIG_SLICES, 1.0)
                told = f"NVML gives power of the whole board only; {count}/{MIG_SLICES} of it is an estimate"
                yield Gpu(self._nvml, self, f"gpu-{self._index}.{number}", uuid, share, told)


class Gpu(Sensor):
    """A GPU or a slice of one: its energy counter where calling it works, else the power sensor, else utilisation."""

    every_s = 0.0

    def __init__(
        self, nvml, board: Board, key: str, uuid: str, share: float, note: str, sharing: Sharing | None = None
    ):
        self._nvml, self._board, self._share, self._sharing = nvml, board, share, sharing
        self._board_j = self._job_j = 0.0
        memory = board.ask(nvml.nvmlDeviceGetMemoryInfo)
        limit_mw = board.ask(nvml.nvmlDeviceGetEnforcedPowerLimit)
        self.has_counter = board.ask(nvml.nvmlDeviceGetTotalEnergyConsumption) is not None
        self.has_power = board.ask(nvml.nvmlDeviceGetPowerUsage) is not None
        self.most_w = limit_mw / 1000 if limit_mw else None
        self.facts = facts(key, "gpu", board.name, uuid=uuid, share=share, note=note)
        self.facts |= {"memory_gb": memory.total / host.GB if memory else None, "power_limit_w": self.most_w}
        self.facts |= self._method()
        if self.facts["basis"] and any(word in board.name for word in MODULES):
            self.replaces = ("cpu-0",)

    def _method(self) -> dict[str, str]:
        """One source for a whole run: a counter and an integrated sensor are never mixed."""
        if self.has_counter:
            # The slice of a board's energy is reckoned, so its basis claims less than a counter's.
            return {"basis": "counter" if self._share == 1.0 else "sensor", "method": "NVML energy counter"}
        if self.has_power:
            return {"basis": "sensor", "method": "NVML power sensor"}
        return {"basis": "", "method": "NVML utilisation"}

    def read(self) -> Reading:
        """The reading of now. Raises NVMLError where the GPU was lost."""
        nvml, handle = self._nvml, self._board.handle
        used = self._board.ask(nvml.nvmlDeviceGetUtilizationRates)
        share_now = used.gpu / 100 if used is not None else None
        if self.has_counter:
            return Reading(
                share_now, energy_j=self._job_energy_j(nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)
            )
        if self.has_power:
            return Reading(share_now, power_w=self._part() * nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        return Reading(share_now)

    def _job_energy_j(self, board_j: float) -> float:
        """The job's part of the counter. One that fell is handed on as it is: the meter drops the interval."""
        added_j, self._board_j = board_j - self._board_j, board_j
        if added_j < 0:
            self._job_j = 0.0
            return self._job_j
        self._job_j += self._part() * added_j
        return self._job_j

    def _part(self) -> float:
        """The job's part of the board: its slice of it, or what it used beside strangers."""
        if self._sharing is None:
            return self._share
        part = self._sharing.part()
        if self._sharing.is_shared and "Other jobs" not in self.facts["note"]:
            self._say_shared()
        return part

    def _say_shared(self) -> None:
        if self._sharing and self._sharing.is_known:
            told = "Other jobs use this GPU: its energy is split by each process's use"
            self.facts |= {"basis": "sensor", "method": f"{self.facts['method']}, the job's part"}
        else:
            told = "Other jobs use this GPU, and what part they use is not known: all of it is counted"
        self.facts["note"] = f"{self.facts['note']} {told}".strip()


def _text(value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
