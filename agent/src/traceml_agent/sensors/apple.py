"""Apple Silicon by zeus-apple-silicon, if that is installed: the chip's own energy counters, without root.

They count the use of the whole machine. The job gets its part of CPU and memory, as with RAPL's counters, but all of
the GPU, for which macOS does not report the use of each process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from traceml_agent.host import cpuinfo, forks, system
from traceml_agent.host.allocation import Target
from traceml_agent.sensors import rapl
from traceml_agent.sensors.cpu import Cpu
from traceml_agent.sensors.memory import Memory, total_gb
from traceml_agent.sensors.modules import CPU, MEMORY
from traceml_agent.sensors.sensor import Reading, Sensor, facts
from traceml_agent.sensors.unmeasured import leave_out

#: Counters of graphics and neural engine, in mJ; None on a chip that lacks one.
GPU_FIELDS = ("gpu_mj", "gpu_sram_mj", "ane_mj")
METHOD = "Apple energy counter"
NOTE = "The chip counts the whole machine's use"
#: If a counter has not moved for this long since the start, this chip does not fill it.
STILL_S = 60.0
STILL = "its energy counter does not move, so its energy may be missing"


def probe(scope: str, target: Target) -> Iterator[Sensor]:
    """The chip's GPU with its neural engine; also CPU and memory, replacing their estimates."""
    if system.has_proc():  # a Linux
        return
    try:
        with forks.undivided():
            from zeus_apple_silicon import AppleEnergyMonitor
    except ImportError:
        if sys.platform == "darwin" and os.uname().machine == "arm64":
            leave_out("Apple GPU", "The Apple GPU is not measured: pip install zeus-apple-silicon")
        return
    monitor = AppleEnergyMonitor()
    gpu, cpu = AppleCounter(monitor, GPU_FIELDS), AppleCounter(monitor, ("cpu_total_mj",))
    dram = AppleCounter(monitor, ("dram_mj",))
    if gpu.is_there():
        yield AppleGpu(gpu)
    if cpu.is_there():
        sensor: Sensor = Cpu(scope, target, [cpu], METHOD)
        sensor.replaces = (CPU,)
        yield sensor
    total = total_gb()
    if dram.is_there() and total:
        sensor = Memory(scope, total, target, [dram], METHOD)
        sensor.replaces = (MEMORY,)
        yield sensor


class AppleCounter:
    """The sum of some of the chip's counters, which count from the machine's start."""

    #: The chip reports no limit.
    most_w = float("inf")

    def __init__(self, monitor, fields: tuple[str, ...]):
        self._monitor, self._fields = monitor, fields

    def _values(self) -> list[int]:
        now = self._monitor.get_cumulative_energy()
        found = (getattr(now, field, None) for field in self._fields)
        return [value for value in found if value is not None]

    def is_there(self) -> bool:
        return bool(self._values())

    def energy_j(self) -> float:
        """Joules so far. Raises ValueError if the chip reports nothing this time, which is not 0."""
        if not (values := self._values()):
            raise ValueError("the chip gave no energy")
        return sum(values) / 1000


class AppleGpu(Sensor):
    """The chip's GPU and neural engine."""

    every_s = rapl.READ_EVERY_S

    def __init__(self, part: AppleCounter):
        self._part = part
        self._first: tuple[float, float] | None = None
        name = f"{cpuinfo.processor().name} GPU"
        self.facts = facts("gpu-0", "gpu", name, basis="counter", method=METHOD, note=NOTE)

    def read(self) -> Reading:
        energy_j = self._part.energy_j()
        if self._first is None:
            self._first = time.monotonic(), energy_j
        began_at, first_j = self._first
        # At rest it draws some milliwatts. It is unknown whether it was at rest, so there is no estimate instead.
        if energy_j == first_j and time.monotonic() - began_at > STILL_S and STILL not in self.facts["note"]:
            self.trouble = STILL
            self.add_note(STILL)
        return Reading(energy_j=energy_j)
