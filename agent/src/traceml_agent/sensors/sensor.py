"""The base of all sensors: a sensor has the `facts` of a device, and can `read` it.

Units are converted where a vendor's number enters: joules, watts, seconds, GB.
"""

from __future__ import annotations

#: The portal's limits for texts.
MOST_CHARACTERS = {"name": 200, "uuid": 100, "method": 200, "note": 500}
#: A reading of more than this many times a device's power limit is impossible …
MOST_POWER = 3.0
#: … and so is one above this, in W, if no limit is known: the largest accelerators have half of it.
MOST_GPU_W = 3000.0


def most_gpu_w(limit_w: float | None) -> float:
    """Watts above which a GPU's reading is impossible, from its power limit if that is known."""
    return MOST_POWER * limit_w if limit_w else MOST_GPU_W


class Reading:
    """What a sensor reads at one moment; None for what it doesn't know, which is not 0.

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
    """One device. `facts` describes it as in docs/wire.md. `every_s` is how often it must be read: 0 for every tick of
    the sampler, for momentary values that are integrated.
    """

    facts: dict
    every_s = 0.0
    #: Keys of devices whose energy this one's counter includes, as a module's power includes its CPU's.
    replaces: tuple[str, ...] = ()
    #: Watts above which a reading is impossible, if known; real power does not come near.
    most_w: float | None = None
    #: A problem of the sensor and how it continues, in words. Whoever reads this reports it once.
    trouble = ""

    #: Whether jobs that share the device divide everything that it reads, not only its idle power.
    is_divided = False
    #: Whether its readings are the job's part already, by each process's use; None if that is never known.
    is_split: bool | None = None
    #: The job's part of the idle power since the last reading, if several jobs hold the device.
    idle_part = 1.0

    def read(self) -> Reading | None:
        """Read the device now; None for no reading. May raise whatever the vendor's library raises."""
        return None

    def add_note(self, text: str) -> None:
        """Add a note about the device, once, within the portal's limit."""
        note = self.facts["note"]
        if text not in note:
            self.facts["note"] = f"{note} {text}".strip()[: MOST_CHARACTERS["note"]]

    def close(self) -> None:
        """Release descriptors and libraries."""


def facts(key: str, kind: str, name: str, **more) -> dict:
    """The facts of a device as in docs/wire.md, cleaned: a garbled name must not prevent a run's delivery."""
    found = {"key": key, "kind": kind, "name": name, "uuid": "", "basis": "", "method": "", "note": ""} | more
    for field, most in MOST_CHARACTERS.items():
        found[field] = "".join(filter(str.isprintable, found[field]))[:most].strip()
    return found | {"name": found["name"] or f"unknown {kind}"}
