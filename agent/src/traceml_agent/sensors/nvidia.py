"""NVIDIA GPUs by NVML: which of them the job sees, and their energy counter, power sensor and utilisation.

NVML's indices are not CUDA's, so devices are told apart by UUID. No CUDA context is ever made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from traceml_agent import host
from traceml_agent.messages import warn
from traceml_agent.sensors import Reading, Sensor, facts
from traceml_agent.sensors.modules import held_by
from traceml_agent.sensors.sharing import SPLIT, Sharing
from traceml_agent.sensors.visibility import ALL_TAKEN, seen

#: A whole GPU has seven compute slices.
MIG_SLICES = 7
LIBRARY = "libnvidia-ml.so.1"


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
    listed = None if scope == "machine" else os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen, note = visible(listed, dict(_boards(pynvml)), os.environ.get("CUDA_DEVICE_ORDER", ""))
    for board in chosen:
        yield from board.sensors(listed, note, None if scope == "machine" else target)


def _boards(nvml) -> Iterator[tuple[int, Board]]:
    """The boards by NVML's index; one that fell off the bus must not take the others with it."""
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            yield index, Board(nvml, index, nvml.nvmlDeviceGetHandleByIndex(index))
        except nvml.NVMLError as error:
            warn(f"GPU {index} can't be read ({error}); it is left out")


def _driver_may_be_there() -> bool:
    """Cheap signs of a driver: without one neither ctypes nor pynvml need be loaded."""
    if os.name == "nt" or any(os.path.exists(host.path(*place)) for place in _SIGNS):
        return True
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return any(os.path.exists(os.path.join(folder, LIBRARY)) for folder in folders if folder)


_SIGNS = (("proc", "driver", "nvidia", "version"), ("dev", "nvidiactl"), ("dev", "dxg"))


def visible(listed: str | None, boards: dict[int, Board], order: str) -> tuple[list[Board], str]:
    """The boards that CUDA_VISIBLE_DEVICES leaves, and a note where that is not certain."""
    chosen, all_taken = seen(listed, boards)
    if all_taken:
        return chosen, f"CUDA_VISIBLE_DEVICES {ALL_TAKEN}"
    by_number = any(entry.strip().isdigit() for entry in (listed or "").split(","))
    alike = len({board.name for board in boards.values()}) == 1
    if not (chosen and by_number) or alike or order == "PCI_BUS_ID":
        return chosen, ""
    return chosen, "CUDA may number the GPUs in another order: set CUDA_DEVICE_ORDER=PCI_BUS_ID"


class Board:
    """A GPU as NVML lists it, with the MIG slices that it is cut into."""

    def __init__(self, nvml, index: int, handle):
        self._nvml, self._index, self.handle = nvml, index, handle
        self._told_us = 0
        self.uuid = _text(nvml.nvmlDeviceGetUUID(handle))
        self.name = _text(nvml.nvmlDeviceGetName(handle))
        self.slices = dict(self._mig_slices())
        self.uuids = (self.uuid, *self.slices)

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

    def _pids(self) -> list[int]:
        return [row.pid for row in self.ask(self._nvml.nvmlDeviceGetComputeRunningProcesses) or []]

    def _uses(self) -> list[tuple[int, float]] | None:
        """Each process's use of the multiprocessors since the last call; None where NVML does not tell."""
        rows = self.ask(self._nvml.nvmlDeviceGetProcessUtilization, self._told_us)
        if rows is None:
            return None
        self._told_us = max((row.timeStamp for row in rows), default=self._told_us)
        return [(row.pid, row.smUtil) for row in rows]

    def ask(self, question, *arguments):
        """The answer, or None where this GPU or driver does not know the question."""
        try:
            return question(self.handle, *arguments)
        except self._nvml.NVMLError:
            return None

    def sensors(self, listed: str | None, note: str, target: host.Target | None) -> Iterator[Sensor]:
        """The whole board, or each of its slices that the job sees; without a target strangers' use counts as well."""
        if not self.slices:
            sharing = Sharing(self._pids, self._uses, target) if target else None
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
        self.replaces = held_by(board.name, is_measured=bool(self.facts["basis"]))

    def _method(self) -> dict[str, str]:
        """One source for a whole run: a counter and an integrated sensor are never mixed."""
        if self.has_counter:
            # The slice of a board's energy is reckoned, so its basis claims less than a counter's.
            return {"basis": "counter" if self._share == 1.0 else "sensor", "method": "NVML energy counter"}
        if self.has_power:
            return {"basis": "sensor", "method": "NVML power sensor"}
        return {"basis": "", "method": "NVML utilisation"}

    def read(self) -> Reading | None:
        """The reading of now. Raises NVMLError where the GPU was lost."""
        nvml, handle = self._nvml, self._board.handle
        part = self._part()
        used = self._board.ask(nvml.nvmlDeviceGetUtilizationRates)
        busy_share = used.gpu / 100 * part / self._share if used is not None else None
        if self.has_counter:
            board_j = nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
            return Reading(busy_share, energy_j=self._job_energy_j(board_j, part))
        if self.has_power:
            return self.of_power(busy_share, nvml.nvmlDeviceGetPowerUsage(handle) / 1000, part)
        return Reading(busy_share)

    def _job_energy_j(self, board_j: float, part: float) -> float:
        """The job's part of the counter. One that fell is handed on as it is: the meter drops the interval."""
        added_j, self._board_j = board_j - self._board_j, board_j
        self._job_j = self._job_j + part * added_j if added_j >= 0 else 0.0
        return self._job_j

    def _part(self) -> float:
        """The job's part of the board: its slice of it, or what it used beside strangers."""
        if self._sharing is None:
            return self._share
        part = self._sharing.part()
        if self._sharing.note not in self.facts["note"]:
            self._say_shared(self._sharing.note)
        return part

    def _say_shared(self, note: str) -> None:
        """Once said it stays: a part of the run was shared."""
        self.facts["note"] = f"{self.facts['note']} {note}".strip()
        if note == SPLIT and self.facts["basis"]:
            self.facts |= {"basis": "sensor", "method": f"{self.facts['method']}, the job's part"}


def _text(value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
