"""Sensors behind one question each: who are you (`facts`), and what do you read now (`read`)?

A vendor's library is imported inside its own probe only; being absent is normal. A sensor that fails is dropped with
one warning, and the run goes on. Units are converted where the vendor's number enters: joules, watts, seconds, GB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from traceml_agent.host import host
from traceml_agent.messages import warn

#: What people call that which a probe looks for.
NAMES = {"nvidia": "NVIDIA GPU", "amd": "AMD GPU", "apple": "Apple GPU", "cpu": "CPU", "memory": "Memory"}
NAMES |= {"declaration": "Declared devices"}
#: What the portal takes of a text.
MOST_CHARACTERS = {"name": 200, "uuid": 100, "method": 200, "note": 500}
#: A reading of more than this many times the limit that a device is held to is no reading …
MOST_POWER = 3.0
#: … nor is one of more watts than this where no limit is told: the largest accelerators are held to half of it.
MOST_GPU_W = 3000.0


def most_gpu_w(limit_w: float | None) -> float:
    """Watts above which a reading of a GPU is impossible, by the power limit that it is held to where that is told."""
    return MOST_POWER * limit_w if limit_w else MOST_GPU_W


class Reading:
    """What a sensor reads at one instant; None where it has nothing to say, which is no 0.

    `busy_share`: utilisation now, 0 to 1. `busy_s`: busy seconds since any origin. `power_w`: watts now.
    `energy_j`: joules since any origin.
    """

    __slots__ = ("busy_s", "busy_share", "energy_j", "power_w")

    def __init__(
        self,
        busy_share: float | None = None,
        busy_s: float | None = None,
        power_w: float | None = None,
        energy_j: float | None = None,
    ):
        self.busy_share, self.busy_s, self.power_w, self.energy_j = busy_share, busy_s, power_w, energy_j


class Sensor:
    """One device. `facts` describes it as docs/wire.md does; `every_s` is how often it has to be read at least:
    0 for every tick of the sampler, where an instant's value is integrated."""

    facts: dict
    every_s = 0.0
    #: Keys of devices whose energy this one's counter holds already, as a module's power holds its CPU's.
    replaces: tuple[str, ...] = ()
    #: Watts above which a reading is impossible, where known: nothing that is drawn comes near them.
    most_w: float | None = None
    #: What befell the sensor and how it goes on, in words; whoever reads it tells it once.
    trouble = ""

    #: Whether several jobs that hold the device divide all that it reads, and not its idle power alone.
    is_divided = False
    #: Whether what it reads is the job's part already, by each process's use; None where that is never known.
    is_split: bool | None = None
    #: Of the idle power the job's part since the last reading, where several jobs hold the device.
    idle_part = 1.0

    def read(self) -> Reading | None:
        """The reading of now; None for "no reading". May raise whatever the vendor's library raises."""
        return None

    def add_note(self, text: str) -> None:
        """Say something unusual of the device, once; as much as the portal takes."""
        note = self.facts["note"]
        if text not in note:
            self.facts["note"] = f"{note} {text}".strip()[: MOST_CHARACTERS["note"]]

    def close(self) -> None:
        """Let go of descriptors and libraries."""


def facts(key: str, kind: str, name: str, **more) -> dict:
    """A device as the wire describes it: a name that a driver garbled must not cost the run its delivery."""
    found = {"key": key, "kind": kind, "name": name, "uuid": "", "basis": "", "method": "", "note": ""} | more
    for field, most in MOST_CHARACTERS.items():
        found[field] = "".join(filter(str.isprintable, found[field]))[:most].strip()
    return found | {"name": found["name"] or f"unknown {kind}"}


def of_host(scope: str = "job", target: host.Target | None = None) -> Iterator[Sensor]:
    """Processor and memory: found in a millisecond, so a start reads them before the training goes on.

    Of several ranks each reports its part; the whole machine, which is nobody's part, only the first of a host.
    """
    from traceml_agent.host import job
    from traceml_agent.sensors import cpu, memory

    _left_out.clear()
    if scope == "machine" and job.local_size() > 1 and host.local_rank() > 0:
        return iter(())
    return _found([cpu.probe, memory.probe], scope, target or host.Target())


def of_accelerators(scope: str = "job", target: host.Target | None = None, declared: Iterable = ()) -> Iterator[Sensor]:
    """GPUs and their kin: a vendor's library may take seconds to load. Then what was declared and isn't measured."""
    from traceml_agent.sensors import amd, apple, nvidia

    for what in _left_out.keys() - {NAMES["cpu"], NAMES["memory"]}:  # what an earlier run met
        del _left_out[what]
    _declared[:] = declared
    measured = []
    for sensor in _found([nvidia.probe, amd.probe, apple.probe], scope, target or host.Target()):
        measured.append(sensor)
        yield sensor
    if _declared:
        from traceml_agent.sensors import declaration

        yield from _found([declaration.probe], list(_declared), measured)


_left_out: dict[str, str] = {}
#: What was declared to the last `of_accelerators`.
_declared: list = []


def leave_out(what: str, reason: str) -> None:
    """Say once that a device is there and not measured, and keep it for `unmeasured`."""
    _left_out[what] = reason
    warn(reason)


def unmeasured() -> list[tuple[str, str]]:
    """What is there and not measured, accelerators above all, each with the reason and, where there is one, the remedy.

    What the probes met, so it is asked after `of_accelerators` was read; and, by cheap signs, what has no probe. Where
    accelerators of a maker were declared, none of that maker's: their energy is estimated.
    """
    from traceml_agent.sensors import signs

    found = [*_left_out.items(), *signs.unmeasured()]
    if not _declared:
        return found
    from traceml_agent.sensors import declaration

    makers = declaration.makers(_declared)
    return [(what, reason) for what, reason in found if what.split()[0] not in makers]


def _found(probes: list[Callable[..., Iterator[Sensor]]], *about) -> Iterator[Sensor]:
    for probe in probes:
        try:
            yield from probe(*about)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (vendors' libraries raise anything; the run goes on)
            name = probe.__module__.rpartition(".")[2]
            leave_out(NAMES.get(name, name), f"{name} can't be read ({type(error).__name__}: {error})")
