"""Holds: which runs hold which processor, memory or device, as empty files in this user's shared memory.

The name of a file says everything: what is held, by which run, of which process, since when and until when. Runs of
other users can't be seen, nor those in a container that shares no memory with this one. Without shared memory a process
knows only its own runs.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import zlib
from typing import NamedTuple

from traceml_agent.host import endings
from traceml_agent.host.allocation import Target
from traceml_agent.host.private import boards_folder
from traceml_agent.host.processes import ancestors

FOLDER, SEPARATOR, VERSION = "holds", "~", "1"
MACHINE = "machine"
#: How long others may need an ended hold: until their next reading.
KEPT_S = 60.0
#: The folder's time shows whether files came or went, except within the same tick of the clock.
TICK_S = 0.05
ALIVE_EVERY_S = 2.0
FOR_EVER = float("inf")


class HoldRecord(NamedTuple):
    """A hold, as in the name of its file."""

    what: str
    writer: str
    run: str
    root: str  # the process, cgroup or machine that is measured
    outer: str  # the run of the enclosing block
    portal: str
    project: str
    allocation: str
    held: float
    whole: float
    began: float
    ended: float

    @property
    def name(self) -> str:
        ended = "" if self.ended == FOR_EVER else f"{self.ended:.3f}"
        numbers = f"{self.held:g}", f"{self.whole:g}", f"{self.began:.3f}", ended
        return SEPARATOR.join((VERSION, *self[:8], *numbers))

    @property
    def process(self) -> tuple[int, str]:
        """The agent's process that holds it: its pid, and when it began."""
        pid, began = self.writer.split("-")[1:3]
        return int(pid, 16), str(int(began, 16))

    def is_within(self, since: float, until: float) -> bool:
        return self.began < until and self.ended > since


def record_of(name: str) -> HoldRecord | None:
    """The record in a file's name; None if the file is not a hold."""
    version, *fields = name.split(SEPARATOR)
    try:
        numbers = [float(field or FOR_EVER) for field in fields[8:]]
        found = HoldRecord(*fields[:8], *numbers) if version == VERSION else None  # type: ignore[arg-type]
        return found if found and found.process else None
    except (ValueError, TypeError, IndexError):
        return None


class Holds:
    """All holds on this host: this process's in memory, others by their files."""

    def __init__(self) -> None:
        self.mine: dict[str, HoldRecord] = {}
        self.others: dict[str, HoldRecord] = {}
        self._me = os.getpid(), endings.own_beginning() or "0"
        self._alive_at = float("-inf")
        self._changed_ns = -1
        self._above: dict[str, set[str]] = {}
        boards = boards_folder()
        self.place = os.path.join(boards, FOLDER) if boards else ""
        if self.place:
            try:
                os.makedirs(self.place, mode=0o700, exist_ok=True)
            except OSError:
                self.place = ""

    def put(self, record: HoldRecord, former: HoldRecord | None = None) -> None:
        """Write a hold's file, replacing that of its former state."""
        self.mine[record.name] = record
        if former is not None:
            self.mine.pop(former.name, None)
        self._forget_old()
        if not self.place:
            return
        path = os.path.join(self.place, record.name)
        with contextlib.suppress(OSError):
            if former is not None:
                os.rename(os.path.join(self.place, former.name), path)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0), 0o600))

    def _forget_old(self) -> None:
        old = time.monotonic() - KEPT_S
        for name, record in list(self.mine.items()):
            if record.ended < old:
                self.mine.pop(name, None)
                if self.place:
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(self.place, name))

    def read(self) -> None:
        """See which holds came and went. For a run that is alone this is one system call."""
        now = time.monotonic()
        if not self.place:
            return
        with contextlib.suppress(OSError):
            changed_ns = os.stat(self.place).st_mtime_ns
            if changed_ns != self._changed_ns:
                found = {name: self.others.get(name) or record_of(name) for name in os.listdir(self.place)}
                self.others = {name: record for name, record in found.items() if record and record.process != self._me}
                settled = time.time_ns() - changed_ns > TICK_S * 1e9
                self._changed_ns = changed_ns if settled else -1
            if self.others and now - self._alive_at > ALIVE_EVERY_S:
                self._alive_at = now
                self._bury(now)

    def _bury(self, now: float) -> None:
        """End the holds of dead processes, and delete those that nobody needs any more."""
        living: dict[tuple, bool] = {}
        for name, record in list(self.others.items()):
            path = os.path.join(self.place, name)
            with contextlib.suppress(OSError):
                if record.ended < now - KEPT_S or record.began > now:  # the latter from before a reboot
                    del self.others[name]
                    os.unlink(path)
                elif record.ended == FOR_EVER:
                    if record.process not in living:
                        living[record.process] = endings.is_alive(*record.process)
                    if not living[record.process]:
                        ended = record._replace(ended=now)
                        self.others[name] = ended
                        os.rename(path, os.path.join(self.place, ended.name))

    def around(self, mine: HoldRecord, since: float, until: float) -> list[HoldRecord]:
        """Other holds of the same thing in an interval."""
        # Copies, since other threads may begin and end runs.
        every = (*list(self.mine.values()), *list(self.others.values()))
        return [t for t in every if t.what == mine.what and t.writer != mine.writer and t.is_within(since, until)]

    def is_above(self, upper: HoldRecord, lower: HoldRecord) -> bool:
        """Whether `upper` measures everything that `lower` does, and more."""
        if upper.root == lower.root or lower.root == MACHINE:
            return False
        return upper.root == MACHINE or upper.root in self._roots_above(lower.root)

    def _roots_above(self, root: str) -> set[str]:
        """The processes and cgroups above a process, looked up once."""
        if root not in self._above:
            self._above[root] = set() if root.startswith("c") else _above(int(root.partition("-")[0], 16))
        return self._above[root]


def _above(pid: int) -> set[str]:
    found = {root_of(each) for each in ancestors(pid)}
    for _, place in Target(pid).cgroup_places():
        parts = place.strip("/").split("/")
        found |= {cgroup("/" + "/".join(parts[:count])) for count in range(1, len(parts) + 1)}
    return found


def root_of(pid: int) -> str:
    """A process in a hold's record: its pid, and when it began."""
    return f"{pid:x}-{endings.own_beginning() if pid == os.getpid() else endings.began_at(pid)}"


def cgroup(path: str) -> str:
    return "c" + short(path)


def short(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


_here: Holds | None = None
_making = threading.RLock()  # a signal's handler may start a run while the code that it interrupted does so


def of_this_host() -> Holds:
    global _here
    if _here is None:
        with _making:
            if _here is None:
                made = Holds()
                _here = _here or made
    return _here


def _in_child() -> None:
    """A forked child has none of its parent's holds."""
    global _here, _making
    _here, _making = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
