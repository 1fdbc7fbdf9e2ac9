"""Apple Silicon by zeus-apple-silicon, where that is installed: the chip's own energy counters.

They count the whole machine's use, not the job's: macOS tells no process's part.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from traceml_agent import host
from traceml_agent.sensors import Reading, Sensor, facts

#: Counters of graphics and neural engine, in mJ; a chip that lacks one gives None.
GPU_FIELDS = ("gpu_mj", "gpu_sram_mj", "ane_mj")
NOTE = "The chip counts the whole machine's use"


def probe(scope: str, target: host.Target) -> Iterator[Sensor]:
    """The chip's GPU with its neural engine, and its CPU cores."""
    if sys.platform != "darwin":
        return
    try:
        from zeus_apple_silicon import AppleEnergyMonitor
    except ImportError:
        return
    monitor = AppleEnergyMonitor()
    chip = host.processor().name
    yield Chip(monitor, facts("gpu-0", "gpu", f"{chip} GPU", basis="counter"), GPU_FIELDS)
    cpu = Chip(monitor, facts("cpu-soc", "cpu", chip, basis="counter"), ("cpu_total_mj",))
    cpu.replaces = ("cpu-0",)
    yield cpu
    memory = Chip(monitor, facts("ram-soc", "ram", "Memory", basis="counter"), ("dram_mj",))
    memory.replaces = ("ram",)
    yield memory


class Chip(Sensor):
    """A part of the chip, as the sum of some of its counters."""

    every_s = 0.0

    def __init__(self, monitor, described: dict, fields: tuple[str, ...]):
        self._monitor, self._fields = monitor, fields
        self.facts = described | {"method": "Apple energy counter", "note": NOTE}

    def read(self) -> Reading | None:
        """Joules so far; None where the chip has none of the counters."""
        now = self._monitor.get_cumulative_energy()
        found = [value for value in (getattr(now, field, None) for field in self._fields) if value is not None]
        return Reading(energy_j=sum(found) / 1000) if found else None
