"""RAPL, the energy counters of Intel's and AMD's processors: which zones count, and joules that survive a wrap.

Only `package-*` and `dram` zones are energy of their own: `core`, `uncore` and `psys` are parts or wholes of them, and
`intel-rapl-mmio` is the same counter again. Zones are told apart by path: two sockets have two zones named `dram`.
"""

from __future__ import annotations

import os

from traceml_agent import host

POWERCAP = "sys/class/powercap"
PREFIX = "intel-rapl:"
#: As little as 65.5 kJ fits into a counter: 234 s at 280 W.
READ_EVERY_S = 30.0
REMEDY = (
    "The RAPL energy counter is there but not readable. To let a group read it: "
    "groupadd -f rapl; usermod -aG rapl $USER; "
    'echo \'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chgrp -R rapl /sys%p", RUN+="/bin/chmod -R g+r /sys%p"\' '
    "> /etc/udev/rules.d/70-rapl.rules; udevadm control --reload; "
    "udevadm trigger --subsystem-match=powercap --action=add"
)


class Zone:
    """One counter, in joules since the first read; a smaller value than before means that it wrapped."""

    def __init__(self, folder: str):
        self.folder = folder
        self._range_uj = host.number(folder, "max_energy_range_uj") or 0.0
        self._last_uj = self._now_uj()
        self._total_uj = 0.0

    def _now_uj(self) -> float:
        """Raises OSError or ValueError: a failed read is no reading, never 0."""
        with open(host.path(self.folder, "energy_uj"), encoding="ascii") as file:
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
        """Whether this zone shows the other's counter: its value then lies between two of the other's. Seen on AMD."""
        return all(before <= self._now_uj() <= other._now_uj() for before in (other._now_uj(), other._now_uj()))


def zones(name: str) -> list[Zone]:
    """The readable zones whose name begins with `package` or is `dram`, one for each counter that there is."""
    found: list[Zone] = []
    for folder in _folders(name):
        try:
            zone = Zone(folder)
            if not any(zone.mirrors(other) for other in found):
                found.append(zone)
        except (OSError, ValueError):
            continue
    return found


def unreadable() -> bool:
    """Whether there are package zones that this user may not read."""
    folders = _folders("package")
    return bool(folders) and not any(os.access(host.path(folder, "energy_uj"), os.R_OK) for folder in folders)


def _folders(name: str) -> list[str]:
    try:
        entries = sorted(entry for entry in os.listdir(host.path(POWERCAP)) if entry.startswith(PREFIX))
    except OSError:
        return []
    folders = [f"{POWERCAP}/{entry}" for entry in entries]
    # Kernels show nested zones beside their package or only below it.
    nested = [f"{f}/{sub}" for f in folders for sub in _below(f) if sub not in entries]
    return [folder for folder in [*folders, *nested] if (host.read(folder, "name") or "").startswith(name)]


def _below(folder: str) -> list[str]:
    try:
        return sorted(entry for entry in os.listdir(host.path(folder)) if entry.startswith(PREFIX))
    except OSError:
        return []


def total_j(zones: list) -> float:
    """Joules so far of all counters. Raises where one can't be read: a part would look like a reset."""
    return sum(zone.energy_j() for zone in zones)
