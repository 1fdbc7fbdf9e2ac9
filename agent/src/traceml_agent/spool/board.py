"""The board: counters in shared memory that a killed process leaves behind and another one finds by name.

The calls of a watched model and the last reading of each device are in the system's shared memory. So not even the last
call before a SIGKILL is lost, and a forked worker counts in the same region as its parent. There is no disk behind it,
and its space is allocated at once: a full or lost disk would end the training by SIGBUS.

A slot is a name of 96 bytes and four doubles. A process that makes one holds a lock; after that only this process
writes to it.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import sys
import time
import weakref
from collections.abc import Iterator

from traceml_agent.host import endings
from traceml_agent.host.descriptors import Descriptor, above_standard
from traceml_agent.host.private import boards_folder
from traceml_agent.limits import MAX_COUNT
from traceml_agent.spool.files import ABANDONED_S
from traceml_agent.spool.folder import board_of
from traceml_agent.spool.names import BOARD_SUFFIX, SUFFIX, process_of

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

#: What a slot's name starts with, before a colon: calls of a method, counters of a device, an exception of a block,
#: work of a child, work of the measuring process itself (how much, and how much of it is in the spool).
CALL, DEVICE, ERROR, WORK, OWN_WORK = "call", "device", "error", "work", "own"
#: … and the run's part of a device's counters, if it shares the device.
PART = "part"
PARTS = ("held_s", "shared_held_s", "shared_busy_s", "shared_energy_j")
SLOTS, NAME_BYTES, VALUES = 256, 96, 4
#: The index of the value that holds the counting process's pid, in a slot for calls.
OWNER = 3
#: … or this, in a slot that subtracts what former runs counted; and the name of the slot that counts those runs.
OFFSET, TURN = -1, b"turn:"
SLOT_BYTES = NAME_BYTES + 8 * VALUES
STARTS = range(0, SLOTS * SLOT_BYTES, SLOT_BYTES)
#: The last slot, for calls when all others are taken.
FURTHER = b"call:further methods"
_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
#: Regions whose descriptor the user's code closed and may have reused: releasing one would close the user's file.
_kept: list[mmap.mmap] = []
_boards: weakref.WeakSet[Board] = weakref.WeakSet()


class Board:
    """The region. `values` is a view of it as doubles, `slot(name)` an index into that.

    `path` is a file in the system's shared memory, made if it is missing. Without one, or if it can't be made, only
    forked children share the region, and they lock it by the file `other_path`.
    """

    def __init__(self, path: str = "", other_path: str = ""):
        self._path = path
        #: The descriptor that Python keeps of a mapped file and closes with the region, even if it is another file by
        #: then.
        self._descriptor: Descriptor | None = None
        #: Whether a model counts here that may outlive its run.
        self.is_counted_on = False
        #: This process's slots by name. Empty in a forked child, which takes its own slots.
        self.places: dict[str, int] = {}
        _boards.add(self)
        try:
            self._map(path)
        except (OSError, ValueError, AttributeError):  # no space, no descriptor, or another system
            self._path, self._memory = other_path, mmap.mmap(-1, SLOTS * SLOT_BYTES)
        self.values: memoryview[float] = memoryview(self._memory).cast("d")  # type: ignore[assignment]

    def _map(self, path: str) -> None:
        with above_standard():
            number = os.open(path, os.O_CREAT | _FLAGS, 0o600)
            try:
                os.posix_fallocate(number, 0, SLOTS * SLOT_BYTES)
                if sys.version_info >= (3, 13):
                    self._memory = mmap.mmap(number, SLOTS * SLOT_BYTES, trackfd=False)
                else:
                    self._memory = mmap.mmap(number, SLOTS * SLOT_BYTES)
                    self._descriptor = _copy_of(number)
            finally:
                os.close(number)

    @property
    def is_closed(self) -> bool:
        return self._memory.closed

    def close(self) -> None:
        """Release the memory and its descriptor now, not when Python collects it; unless a model counts here."""
        if not self.is_counted_on and (self._descriptor is None or self._descriptor.is_ours):
            self.values.release()
            self._memory.close()
            if self._descriptor is not None:
                self._descriptor.let_go()
                self._descriptor = None

    def __del__(self) -> None:
        if self._descriptor is not None:
            if not self._descriptor.is_ours:
                _kept.append(self._memory)
            self._descriptor.let_go()

    def slot(self, name: str) -> int | None:
        """The index of the first of a slot's four values, always the same for one process; None if all slots are
        taken."""
        if name in self.places:
            return self.places[name]
        label = name.encode()[:NAME_BYTES]
        with self._locked():
            for start in STARTS[:-1]:
                place = (start + NAME_BYTES) // 8
                if not self._memory[start] or self._is_left_behind(start, name):
                    self._memory[start : start + len(label)] = label
                    if name.startswith(CALL):
                        self.values[place + OWNER] = os.getpid()
                    return self.places.setdefault(name, place)
        return None

    def _is_left_behind(self, start: int, name: str) -> bool:
        """Whether the slot is for the same calls of a process that has ended: its counts are continued."""
        if not name.startswith(CALL) or self._name(start) != name:
            return False
        owner = int(self.values[(start + NAME_BYTES) // 8 + OWNER])
        return owner > 0 and not endings.is_alive(owner, "")

    def place_of_calls(self, name: str) -> int:
        """The slot for calls of a method; if all are taken, another process's slot for it, or the last slot."""
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
        """Name and values of each slot in use; none any more once a signal's handler has closed it."""
        with contextlib.suppress(ValueError):
            # They are taken in order, except for the last.
            taken = itertools.takewhile(self._memory.__getitem__, STARTS[:-1])
            for start in (*taken, *filter(self._memory.__getitem__, STARTS[-1:])):
                first = (start + NAME_BYTES) // 8
                yield self._name(start), list(self.values[first : first + VALUES])

    def calls(self) -> list[dict]:
        """Calls of watched models by method, summed over all processes that share the board, as in docs/wire.md."""
        totals: dict[str, list[float]] = {}
        for name, values in self.rows():
            kind, _, method = name.partition(":")
            if kind == CALL:
                totals[method] = [a + b for a, b in zip(totals.get(method, [0.0] * 3), values, strict=False)]
        return [
            {
                "method": method,
                "calls": int(calls),
                "items": min(int(items), MAX_COUNT),  # a dataset without an end may say any length
                "busy_s": round(busy_s, 6),
            }
            for method, (calls, items, busy_s) in totals.items()
            if calls
        ]

    def add_work(self, name: str, amount: float) -> None:
        """Add useful work done by a child of the measuring process."""
        if (at := self.slot(f"{WORK}:{name}")) is not None:
            self.values[at] += amount

    def keep_work(self, name: str, total: float) -> None:
        """Keep how much the measuring process has done."""
        self._keep(f"{OWN_WORK}:{name}", 0, total)

    def tell_work(self, name: str, total: float) -> None:
        """Keep how much of it is in the spool."""
        self._keep(f"{OWN_WORK}:{name}", 1, total)

    def _keep(self, name: str, place: int, value: float) -> None:
        try:
            if (at := self.slot(name)) is not None:
                self.values[at + place] = value
        except ValueError:
            pass  # a signal's handler has closed it

    def untold_work(self) -> dict[str, float]:
        """Work of the measuring process that is not in the spool, by name."""
        rows = ((name.partition(":"), values) for name, values in self.rows())
        return {unit: values[0] - values[1] for (kind, _, unit), values in rows if kind == OWN_WORK}

    def work(self) -> dict[str, float]:
        """Useful work of the run's children, by name."""
        found: dict[str, float] = {}
        for name, values in self.rows():
            kind, _, unit = name.partition(":")
            if kind == WORK:
                found[unit] = found.get(unit, 0.0) + values[0]
        return found

    def begin_anew(self, calls: list[dict]) -> bool:
        """Count for the next day's run from now on. `calls` are those that the last run has told.

        They are subtracted by slots of their own, since other processes go on counting in theirs. Returns whether there
        was room for those; if not, nothing has changed.
        """
        told = {f"{CALL}:{row['method']}": (row["calls"], row["items"], row["busy_s"]) for row in calls}
        told |= {f"{WORK}:{name}": (amount, 0.0, 0.0) for name, amount in self.work().items()}
        with self._locked():
            places = {name: self._offset(name) for name in told}
            if None in places.values() or (turn := self._own_slot(TURN, 0)) is None:
                return False
            for name, place in places.items():
                for at, amount in enumerate(told[name], place):  # type: ignore[arg-type]
                    self.values[at] -= amount
            self.values[turn] += 1.0
        return True

    def share(self, path: str) -> None:
        """Make the board available under a further name; processes that were forked before know the former one."""
        if self._path and path:
            with contextlib.suppress(OSError):
                os.link(self._path, path)
                self._path = path

    def _offset(self, name: str) -> int | None:
        """The slot that subtracts what former runs counted under a name; taken if it is missing."""
        return self._own_slot(name.encode()[:NAME_BYTES], OFFSET)

    def _own_slot(self, label: bytes, owner: int) -> int | None:
        for start in STARTS[:-1]:
            place, taken = (start + NAME_BYTES) // 8, self._memory[start : start + NAME_BYTES].rstrip(b"\0")
            if taken == label and self.values[place + OWNER] == owner:
                return place
            if not taken:
                self._memory[start : start + len(label)] = label
                self.values[place + OWNER] = owner
                return place
        return None

    @property
    def turns(self) -> int:
        """How many runs have ended before the one that is counted now."""
        start = next((start for start in STARTS if self._memory[start : start + len(TURN)] == TURN), None)
        return 0 if start is None else int(self.values[(start + NAME_BYTES) // 8])

    def note_error(self, words: str) -> None:
        """Note the exception that ended this process's last block; none if `words` is empty."""
        for name, place in self.places.items():
            if name.startswith(f"{ERROR}:"):
                self.values[place] = 0.0
        if words and (at := self.slot(f"{ERROR}:{words}")) is not None:
            self.values[at] = time.monotonic()

    def first_error(self) -> str:
        """The first exception that was noted; empty for none."""
        rows = ((at, *name.partition(":")) for name, (at, *_) in self.rows())
        return min(((at, words) for at, kind, _, words in rows if kind == ERROR and at), default=(0.0, ""))[1]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock among the processes that share the board. It belongs to the process; a fork does not inherit
        it."""
        number = -1
        if fcntl is not None and self._path:
            with contextlib.suppress(OSError), above_standard():
                number = os.open(self._path, _FLAGS)
                fcntl.lockf(number, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if number >= 0:
                os.close(number)


def left_by(path: str) -> Board | None:
    """The board that the writer of a spool file left, or None."""
    place = board_of(path)
    return Board(place) if place and os.path.exists(place) else None


def discard(path: str) -> None:
    """Delete the board of a spool file's writer."""
    if path and (place := board_of(path)):
        with contextlib.suppress(OSError):
            os.unlink(place)


def sweep(spool_files: list[str]) -> None:
    """Delete boards that nobody needs: their process has ended, and their spool file is not among `spool_files`."""
    place = boards_folder()
    wanted = set(map(board_of, spool_files))
    for name in os.listdir(place) if place else ():
        path = os.path.join(place, name)
        with contextlib.suppress(OSError):
            writer = process_of(name.removesuffix(BOARD_SUFFIX) + SUFFIX) if name.endswith(BOARD_SUFFIX) else None
            # Their spool file may be in a folder that this process doesn't know.
            is_old = time.time() - os.lstat(path).st_mtime > ABANDONED_S
            if writer and is_old and path not in wanted and not endings.is_alive(*writer):
                os.unlink(path)


def _copy_of(number: int) -> Descriptor | None:
    """The other descriptor of the same file, excluding those of other boards."""
    same = os.fstat(number)
    known = {number} | {board._descriptor.number for board in list(_boards) if board._descriptor is not None}
    for other in set(map(int, os.listdir("/proc/self/fd"))) - known:
        with contextlib.suppress(OSError):
            found = os.fstat(other)
            if (found.st_dev, found.st_ino) == (same.st_dev, same.st_ino):
                return Descriptor(other)
    return None


def _in_child() -> None:
    """A forked child takes its own slots."""
    for board in list(_boards):
        board.places.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
