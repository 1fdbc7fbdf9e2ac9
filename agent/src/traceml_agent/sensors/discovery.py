"""Finds the sensors of this host for a job.

A vendor's library is imported only inside its own probe, and may be absent. A probe that fails is skipped with one
warning, and the run continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from traceml_agent.host import forks, job
from traceml_agent.host.allocation import Target
from traceml_agent.messages import let_handlers_through
from traceml_agent.sensors import unmeasured
from traceml_agent.sensors.sensor import Sensor

#: What each probe looks for, in words.
NAMES = {"nvidia": "NVIDIA GPU", "amd": "AMD GPU", "apple": "Apple GPU", "cpu": "CPU", "memory": "Memory"}
NAMES |= {"declaration": "Declared devices"}


def of_host(scope: str = "job", target: Target | None = None) -> Iterator[Sensor]:
    """Processor and memory. They are found in a millisecond, so a start reads them before the training continues.

    Each of several ranks reports its part. The whole machine is reported by the first rank of a host only.
    """
    from traceml_agent.sensors import cpu, memory

    unmeasured.left_out.clear()
    if scope == "machine" and job.local_size() > 1 and job.local_rank() > 0:
        return iter(())
    return _found([cpu.probe, memory.probe], scope, target or Target())


def of_accelerators(scope: str = "job", target: Target | None = None, declared: Iterable = ()) -> Iterator[Sensor]:
    """GPUs and other accelerators, whose libraries may take seconds to load; then those declared and not measured."""
    with forks.loading():
        from traceml_agent.sensors import amd, apple, nvidia
    for what in unmeasured.left_out.keys() - {NAMES["cpu"], NAMES["memory"]}:  # from an earlier run
        del unmeasured.left_out[what]
    unmeasured.declared[:] = declared
    measured = []
    for sensor in _found([nvidia.probe, amd.probe, apple.probe], scope, target or Target()):
        measured.append(sensor)
        yield sensor
    if unmeasured.declared:
        with forks.loading():
            from traceml_agent.sensors import declaration
        yield from _found([declaration.probe], list(unmeasured.declared), measured)


def _found(probes: list[Callable[..., Iterator[Sensor]]], *about) -> Iterator[Sensor]:
    for probe in probes:
        try:
            yield from probe(*about)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (vendors' libraries may raise anything; the run continues)
            let_handlers_through(error)
            name = probe.__module__.rpartition(".")[2]
            unmeasured.leave_out(NAMES.get(name, name), f"{name} can't be read ({type(error).__name__}: {error})")
