"""A sensor answers two questions: who are you (`facts`), and what do you read now (`read`)?

Units are converted where the vendor's number enters: joules, watts, seconds, GB.
"""

from __future__ import annotations

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
