"""What a killed process leaves behind: counters in memory that it shares with its uploader.

Calls of a watched model and each device's last reading stand in a region that lives as long as anybody holds it, so
not even the last call before a SIGKILL is lost, and a forked worker counts in the same region as the process that it
comes from. No file lies behind it: a full or lost disk would end the training by SIGBUS.

A slot is a name of 96 bytes and four doubles. Whoever makes one holds a lock; after that only its maker writes to it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import weakref
from collections.abc import Iterator

from traceml_agent.descriptors import above_standard

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

#: What a slot's name begins with, before a colon: calls of a method, or the counters of a device.
CALL, DEVICE = "call", "device"
SLOTS, NAME_BYTES, VALUES = 256, 96, 4
SLOT_BYTES = NAME_BYTES + 8 * VALUES
STARTS = range(0, SLOTS * SLOT_BYTES, SLOT_BYTES)
#: The last slot: what is called when all others are taken.
FURTHER = b"call:further methods"
#: Regions whose descriptor the user's code closed and uses again: to let go of one would close the user's file.
_kept: list[mmap.mmap] = []
_boards: weakref.WeakSet[Board] = weakref.WeakSet()


class Board:
    """The region; `values` is a view of all of it as doubles, `slot(name)` an index into that.

    `number` is the descriptor of one that came from another process; its descriptor is taken over.
    """

    def __init__(self, number: int | None = None):
        self._number, self._identity = -1, (0, 0)
        #: This process's slots by name. A forked child finds it empty, and takes slots of its own.
        self.places: dict[str, int] = {}
        _boards.add(self)
        try:
            self._map(_made() if number is None else number)
        except (OSError, AttributeError):  # no descriptor is left, or no Linux
            self._memory = mmap.mmap(-1, SLOTS * SLOT_BYTES)  # shared by fork alone: no uploader sees it
        self.values: memoryview[float] = memoryview(self._memory).cast("d")  # type: ignore[assignment]

    def _map(self, number: int) -> None:
        """Map it. The region keeps a descriptor of its own, which Python closes with it, whatever it means by then."""
        found = os.fstat(number)
        self._identity = found.st_dev, found.st_ino
        with above_standard():
            next_free = os.dup(number)
            os.close(next_free)
            self._memory = mmap.mmap(number, SLOTS * SLOT_BYTES)
        os.close(number)
        self._number = next_free

    @property
    def number(self) -> int | None:
        """The region's descriptor; None where there is none, or the user's code closed it."""
        try:
            found = os.fstat(self._number)
        except OSError:
            return None
        return self._number if (found.st_dev, found.st_ino) == self._identity else None

    def __del__(self) -> None:
        if self._number >= 0 and self.number is None:
            _kept.append(self._memory)

    def slot(self, name: str) -> int | None:
        """The index of the first of a slot's four values, the same for this process's next question; None if full."""
        if name in self.places:
            return self.places[name]
        label = name.encode()[:NAME_BYTES]
        with self._locked():
            for start in STARTS[:-1]:
                if not self._memory[start]:
                    self._memory[start : start + len(label)] = label
                    return self.places.setdefault(name, (start + NAME_BYTES) // 8)
        return None

    def place_of_calls(self, name: str) -> int:
        """The slot for calls of a method; where all are taken, that of another process, or one for all that is left."""
        place = self.slot(name)
        if place is None:
            same = (start for start in STARTS if self._name(start) == name)
            start = next(same, STARTS[-1])
            if start == STARTS[-1]:
                self._memory[start : start + len(FURTHER)] = FURTHER
            place = self.places.setdefault(name, (start + NAME_BYTES) // 8)
        return place

    def _name(self, start: int) -> str:
        return self._memory[start : start + NAME_BYTES].rstrip(b"\0").decode(errors="replace")

    def rows(self) -> Iterator[tuple[str, list[float]]]:
        """Name and values of each slot in use."""
        for start in STARTS:
            if self._memory[start]:
                first = (start + NAME_BYTES) // 8
                yield self._name(start), list(self.values[first : first + VALUES])

    def calls(self) -> list[dict]:
        """Calls of watched models by method as the wire wants them, those of all processes that share it added up."""
        totals: dict[str, list[float]] = {}
        for name, values in self.rows():
            kind, _, method = name.partition(":")
            if kind == CALL:
                totals[method] = [a + b for a, b in zip(totals.get(method, [0.0] * 3), values, strict=False)]
        return [
            {"method": method, "calls": int(calls), "items": int(items), "busy_s": round(busy_s, 6)}
            for method, (calls, items, busy_s) in totals.items()
            if calls
        ]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes that share it. By a lock of the process, which a fork does not hand on."""
        number = self.number if fcntl is not None else None
        if number is not None:
            with contextlib.suppress(OSError):
                fcntl.lockf(number, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if number is not None:
                with contextlib.suppress(OSError):
                    fcntl.lockf(number, fcntl.LOCK_UN)


def _made() -> int:
    """The descriptor of a new region. Raises OSError, and AttributeError where the system has none."""
    number = os.memfd_create("traceml", os.MFD_CLOEXEC)
    os.ftruncate(number, SLOTS * SLOT_BYTES)
    return number


def _take_new_places() -> None:
    for board in list(_boards):
        board.places.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_take_new_places)
