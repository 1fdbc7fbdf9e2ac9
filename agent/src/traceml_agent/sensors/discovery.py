"""Which sensors there are on this host, for a job.

A vendor's library is imported inside its own probe only; being absent is normal. A sensor that fails is dropped with
one warning, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from traceml_agent.host import job
from traceml_agent.host.allocation import Target
from traceml_agent.sensors import unmeasured
from traceml_agent.sensors.sensor import Sensor

#: What people call that which a probe looks for.
NAMES = {"nvidia": "NVIDIA GPU", "amd": "AMD GPU", "apple": "Apple GPU", "cpu": "CPU", "memory": "Memory"}
NAMES |= {"declaration": "Declared devices"}


def of_host(scope: str = "job", target: Target | None = None) -> Iterator[Sensor]:
    """Processor and memory: found in a millisecond, so a start reads them before the training goes on.

    Of several ranks each reports its part; the whole machine, which is nobody's part, only the first of a host.
    """
    from traceml_agent.sensors import cpu, memory

    unmeasured.left_out.clear()
    if scope == "machine" and job.local_size() > 1 and job.local_rank() > 0:
        return iter(())
    return _found([cpu.probe, memory.probe], scope, target or Target())


def of_accelerators(scope: str = "job", target: Target | None = None, declared: Iterable = ()) -> Iterator[Sensor]:
    """GPUs and their kin: a vendor's library may take seconds to load. Then what was declared and isn't measured."""
    from traceml_agent.sensors import amd, apple, nvidia

    for what in unmeasured.left_out.keys() - {NAMES["cpu"], NAMES["memory"]}:  # what an earlier run met
        del unmeasured.left_out[what]
    unmeasured.declared[:] = declared
    measured = []
    for sensor in _found([nvidia.probe, amd.probe, apple.probe], scope, target or Target()):
        measured.append(sensor)
        yield sensor
    if unmeasured.declared:
        from traceml_agent.sensors import declaration

        yield from _found([declaration.probe], list(unmeasured.declared), measured)


def _found(probes: list[Callable[..., Iterator[Sensor]]], *about) -> Iterator[Sensor]:
    for probe in probes:
        try:
            yield from probe(*about)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (vendors' libraries raise anything; the run goes on)
            name = probe.__module__.rpartition(".")[2]
            unmeasured.leave_out(NAMES.get(name, name), f"{name} can't be read ({type(error).__name__}: {error})")
