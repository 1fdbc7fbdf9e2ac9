"""RAPL, the energy counters of Intel and AMD processors: which zones count, and joules that survive a wrap.

Only `package-*` and `dram` zones are counted: `core`, `uncore` and `psys` are parts or sums of them, and
`intel-rapl-mmio` is the same counter again. Zones are identified by path, since two sockets have two zones named
`dram`.
"""

from __future__ import annotations

import os

from traceml_agent.host import system
from traceml_agent.sensors.sensor import MOST_POWER

POWERCAP = "sys/class/powercap"
PREFIX = "intel-rapl:"
#: A counter may hold as little as 65.5 kJ: 234 s at 280 W.
READ_EVERY_S = 30.0
#: A package always draws power, so a counter that does not move for this long, or fails this often, has stopped. This
#: happens in virtual machines that show the host's files, and on processors without a dram counter.
STILL_S, GIVE_UP_AFTER = 5.0, 3
STOPPED = "its energy counter stopped: all of its energy is estimated instead"
#: Nothing draws more than this many times the base TDP of all sockets: in turbo, a laptop processor of 28 W draws 115
#: W. The bound is never below this many watts, since a processor of 6 W may draw 78 W.
MOST_TDP, LEAST_MOST_W = 10.0, 150.0
REMEDY = (
    "The RAPL energy counter exists but is not readable. To let a group read it: "
    "groupadd -f rapl; usermod -aG rapl $USER; "
    'echo \'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chgrp -R rapl /sys%p", RUN+="/bin/chmod -R g+r /sys%p"\' '
    "> /etc/udev/rules.d/70-rapl.rules; udevadm control --reload; "
    "udevadm trigger --subsystem-match=powercap --action=add"
)


class Zone:
    """One counter, in joules since the first read. A smaller value than before means that it wrapped."""

    def __init__(self, folder: str):
        self.folder = folder
        self._range_uj = system.number(folder, "max_energy_range_uj") or 0.0
        self._last_uj = self._now_uj()
        self._total_uj = 0.0
        #: The highest power in W that its constraints allow, often the base TDP; None if unknown.
        self.most_w = max(filter(None, (_watts(folder, number) for number in range(3))), default=None)

    def _now_uj(self) -> float:
        """Raises OSError or ValueError: a failed read is no reading, never 0."""
        with open(system.path(self.folder, "energy_uj"), encoding="ascii") as file:
            return float(int(file.read()))

    def energy_j(self) -> float:
        """Joules since the zone was found."""
        now_uj = self._now_uj()
        delta_uj = now_uj - self._last_uj
        if delta_uj < 0:
            delta_uj += self._range_uj
        self._last_uj = now_uj
        self._total_uj += max(delta_uj, 0.0)
        return self._total_uj / 1e6

    def mirrors(self, other: Zone) -> bool:
        """Whether this zone shows the other's counter: its value is then between two of the other's. Seen on AMD."""
        return all(before <= self._now_uj() <= other._now_uj() for before in (other._now_uj(), other._now_uj()))


def _watts(folder: str, constraint: int) -> float | None:
    """The maximum of one of a zone's power limits, in W."""
    return (system.number(folder, f"constraint_{constraint}_max_power_uw") or 0.0) / 1e6 or None


def zones(name: str) -> list[Zone]:
    """The zones whose names start with `name`, one for each real counter.

    Empty if one of them can't be read, or the energy of the others would look like all of it.
    """
    found: list[Zone] = []
    for folder in _folders(name):
        try:
            zone = Zone(folder)
            if not any(zone.mirrors(other) for other in found):
                found.append(zone)
        except (OSError, ValueError):
            return []
    return found


def unreadable() -> bool:
    """Whether there are package zones that this user can't read."""
    return not all(os.access(system.path(folder, "energy_uj"), os.R_OK) for folder in _folders("package"))


def _folders(name: str) -> list[str]:
    try:
        entries = sorted(entry for entry in os.listdir(system.path(POWERCAP)) if entry.startswith(PREFIX))
    except OSError:
        return []
    folders = [f"{POWERCAP}/{entry}" for entry in entries]
    # Kernels show nested zones beside their package, or only below it.
    nested = [f"{f}/{sub}" for f in folders for sub in _below(f) if sub not in entries]
    return [folder for folder in [*folders, *nested] if (system.read(folder, "name") or "").startswith(name)]


def _below(folder: str) -> list[str]:
    try:
        return sorted(entry for entry in os.listdir(system.path(folder)) if entry.startswith(PREFIX))
    except OSError:
        return []


def total_j(zones: list) -> float:
    """Joules so far of all counters. Raises if one can't be read, since a partial sum would look like a reset."""
    return sum(zone.energy_j() for zone in zones)


class Stopped(Exception):
    """A counter has stopped."""


class EnergyCounters:
    """Several counters of one device, and what they added since the last reading, if that is possible.

    `tdp_w` is from the device's profile. The bound is the larger of those from the zones' own maximum and from the TDP,
    since a zone's maximum may be its base TDP or its peak.
    """

    def __init__(self, zones: list, tdp_w: float, at: float):
        self._zones = zones
        by_zones_w = MOST_POWER * sum(zone.most_w or 0.0 for zone in zones)
        self.most_w = max(by_zones_w, MOST_TDP * tdp_w, LEAST_MOST_W)
        self._at = self._moved_at = at
        self._last_j: float | None = None
        self._failures = 0

    def added(self, at: float) -> tuple[float, float] | None:
        """Joules and seconds since the last reading, `at` a monotonic time; None if so many joules are impossible.

        Raises OSError or ValueError for a failed read, which the next one makes up for, and Stopped.
        """
        try:
            now_j = total_j(self._zones)
        except (OSError, ValueError) as error:
            self._failures += 1
            if self._failures >= GIVE_UP_AFTER:
                raise Stopped from error
            raise
        self._failures = 0
        added_j, self._last_j = now_j - (now_j if self._last_j is None else self._last_j), now_j
        passed_s, self._at = at - self._at, at
        if added_j:
            self._moved_at = at
        elif at - self._moved_at > STILL_S:
            raise Stopped
        return (added_j, passed_s) if added_j <= self.most_w * max(passed_s, 1.0) else None
