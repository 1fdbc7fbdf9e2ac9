"""Which runs hold the same processor, memory or device at the same time, and what part of it is each one's.

A hold is an empty file in the shared memory of this user's runs, whose name says all of it: what is held, by which run,
of which process, since when and until when. Other users' runs can't be seen, nor those in a container that shares no
memory with this one; without shared memory a process knows of its own runs alone.

Two questions are answered for each interval between two readings:

* Jobs that may use the same cores each hold a part of them, which is what of the idle power is theirs.
* Runs that measure the same process each have all that it used. One of them counts it in sums: of blocks within each
  other the inner one, of blocks side by side each an equal part. A run whose process another run measures along with
  more (its ancestor's, its cgroup's, the whole machine's) leaves the counting to that one.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import zlib
from itertools import pairwise
from typing import NamedTuple

from traceml_agent.host import endings, host, job
from traceml_agent.limits import MAX_OVERLAPS
from traceml_agent.spool.folder import boards_folder

FOLDER, SEPARATOR, VERSION = "holds", "~", "1"
#: All of a host's processors and memory; what else is held is a device.
HOST, MACHINE = "host", "machine"
#: So long others may need to know of one that ended: until their next reading.
KEPT_S = 60.0
#: The folder tells by its own time whether anything came or went; not of what happened in the same tick of the clock.
TICK_S = 0.05
ALIVE_EVERY_S = 2.0
#: Intervals whose ends lie so close are one.
SAME_S = 0.002
#: What two runs may have in common; the later word says more.
SHARED = ("host", "device", "process")
FOR_EVER = float("inf")


class Part(NamedTuple):
    """What of an interval is this writer's, each 0 to 1.

    `own`: of what the process used, where several writers of one run measure it. `held`: of what the process held,
    where other processes may use the same. `counted`: of the figure that follows, what is counted in sums.
    """

    own: float = 1.0
    held: float = 1.0
    counted: float = 1.0


ALL = Part()


class Told(NamedTuple):
    """A hold as its file's name tells it."""

    what: str
    writer: str
    run: str
    root: str  # the process, cgroup or machine that is measured
    outer: str  # the run of the block that stands around
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
        """The process of the agent that holds it: its pid, and when it began."""
        pid, began = self.writer.split("-")[1:3]
        return int(pid, 16), str(int(began, 16))

    def is_within(self, since: float, until: float) -> bool:
        return self.began < until and self.ended > since


def told_by(name: str) -> Told | None:
    """What a file's name tells; None of one that is none of ours."""
    version, *fields = name.split(SEPARATOR)
    try:
        numbers = [float(field or FOR_EVER) for field in fields[8:]]
        found = Told(*fields[:8], *numbers) if version == VERSION else None  # type: ignore[arg-type]
        return found if found and found.process else None
    except (ValueError, TypeError, IndexError):
        return None


class _Neighbourhood:
    """All holds on this host: this process's own in memory, the others' by their files."""

    def __init__(self) -> None:
        self.mine: dict[str, Told] = {}
        self.others: dict[str, Told] = {}
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

    def put(self, told: Told, former: Told | None = None) -> None:
        """Lay down a hold's file, in place of that of its former state."""
        self.mine[told.name] = told
        if former is not None:
            self.mine.pop(former.name, None)
        self._forget_old()
        if not self.place:
            return
        path = os.path.join(self.place, told.name)
        with contextlib.suppress(OSError):
            if former is not None:
                os.rename(os.path.join(self.place, former.name), path)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0), 0o600))

    def _forget_old(self) -> None:
        old = time.monotonic() - KEPT_S
        for name, told in list(self.mine.items()):
            if told.ended < old:
                self.mine.pop(name, None)
                if self.place:
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(self.place, name))

    def look(self) -> None:
        """See who came and went: for a run that is alone one question to the system."""
        now = time.monotonic()
        if not self.place:
            return
        with contextlib.suppress(OSError):
            changed_ns = os.stat(self.place).st_mtime_ns
            if changed_ns != self._changed_ns:
                found = {name: self.others.get(name) or told_by(name) for name in os.listdir(self.place)}
                self.others = {name: told for name, told in found.items() if told and told.process != self._me}
                settled = time.time_ns() - changed_ns > TICK_S * 1e9
                self._changed_ns = changed_ns if settled else -1
            if self.others and now - self._alive_at > ALIVE_EVERY_S:
                self._alive_at = now
                self._bury(now)

    def _bury(self, now: float) -> None:
        """Write down the end of what ended without a word, and take away what nobody needs any more."""
        living: dict[tuple, bool] = {}
        for name, told in list(self.others.items()):
            path = os.path.join(self.place, name)
            with contextlib.suppress(OSError):
                if told.ended < now - KEPT_S or told.began > now:  # the latter of before a start of the system
                    del self.others[name]
                    os.unlink(path)
                elif told.ended == FOR_EVER:
                    if told.process not in living:
                        living[told.process] = endings.is_alive(*told.process)
                    if not living[told.process]:
                        ended = told._replace(ended=now)
                        self.others[name] = ended
                        os.rename(path, os.path.join(self.place, ended.name))

    def around(self, mine: Told, since: float, until: float) -> list[Told]:
        """Other holds of the same thing in an interval."""
        # Copies, as other threads may begin and end runs.
        every = (*list(self.mine.values()), *list(self.others.values()))
        return [t for t in every if t.what == mine.what and t.writer != mine.writer and t.is_within(since, until)]

    def is_above(self, upper: Told, lower: Told) -> bool:
        """Whether one measures all that the other does, and more."""
        if upper.root == lower.root or lower.root == MACHINE:
            return False
        return upper.root == MACHINE or upper.root in self._roots_above(lower.root)

    def _roots_above(self, root: str) -> set[str]:
        """Processes and cgroups above a process, known for good once it was looked at."""
        if root not in self._above:
            self._above[root] = set() if root.startswith("c") else _above(int(root.partition("-")[0], 16))
        return self._above[root]


def _above(pid: int) -> set[str]:
    from traceml_agent.host.processes import ancestors

    found = {root_of(each) for each in ancestors(pid)}
    for _, place in host.Target(pid).cgroup_places():
        parts = place.strip("/").split("/")
        found |= {_cgroup("/" + "/".join(parts[:count])) for count in range(1, len(parts) + 1)}
    return found


def root_of(pid: int) -> str:
    """A process as a hold names it: its pid, and when it began."""
    return f"{pid:x}-{endings.own_beginning() if pid == os.getpid() else endings.began_at(pid)}"


def _cgroup(path: str) -> str:
    return "c" + _short(path)


def _short(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


_here: _Neighbourhood | None = None
_making = threading.Lock()


def _neighbourhood() -> _Neighbourhood:
    global _here
    if _here is None:
        with _making:
            _here = _here or _Neighbourhood()
    return _here


def _in_child() -> None:
    """A forked child holds nothing of its parent's."""
    global _here, _making
    _here, _making = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class Place:
    """Where a run stands among others: its process, its block, and where it sends to. It makes the run's holds."""

    def __init__(self, run_id: str, writer: str, settings, target: host.Target, outer: str = ""):
        self.run_id, self.writer, self.outer = run_id, writer, "" if outer == run_id else outer
        if settings.scope == "machine":
            self.root = MACHINE
        else:
            self.root = _cgroup(target.cgroup) if target.cgroup else root_of(target.pid)
        self._portal, self._project = _short(settings.url or ""), _short(f"{settings.url} {settings.token}")
        self._target = target
        self._holds: dict[str, Hold] = {}
        self._met: dict[str, str] = {}

    def host(self, threads: float, host_threads: float) -> Hold:
        """The hold of its part of the host, by the hardware threads that it may use."""
        ranks = job.local_size() if self._target.is_self else 1
        return self._hold(HOST, _allocation(self._target), threads, ranks * threads, host_threads)

    def device(self, uuid: str) -> Hold:
        """The hold of an accelerator."""
        return self._hold(_short(uuid), _short(uuid), 1.0, 1.0, 1.0)

    def _hold(self, what: str, allocation: str, held: float, whole: float, capacity: float) -> Hold:
        if what not in self._holds:
            told = Told(
                what,
                self.writer,
                self.run_id,
                self.root,
                self.outer,
                self._portal,
                self._project,
                allocation,
                held,
                whole,
                FOR_EVER,
                FOR_EVER,
            )
            self._holds[what] = Hold(told, capacity, self._met)
        return self._holds[what]

    def end(self, at: float) -> None:
        """Let go of whatever is still held."""
        for hold in self._holds.values():
            hold.end(at)

    def overlaps(self) -> list[dict]:
        """The runs that it met so far, and what they share: a process, the host, a device."""
        return [{"run": run, "shares": shares} for run, shares in sorted(self._met.items())[:MAX_OVERLAPS]]


def _allocation(target: host.Target) -> str:
    """What jobs have in common that share one allocation: cores, cgroup, the scheduler's job and step."""
    try:
        cores = sorted(os.sched_getaffinity(0 if target.is_self else target.pid)) if not target.cgroup else []
    except (AttributeError, OSError):
        cores = []
    step = [os.environ.get(name) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")] if target.is_self else []
    return _short(repr((cores, target.cgroup_places(), step)))


class Hold:
    """One run's hold of one thing, until `end`."""

    def __init__(self, told: Told, capacity: float, met: dict[str, str]):
        self.told, self._capacity, self._met = told, capacity, met
        self._last = 0.0, 0.0, ALL

    def begin(self, at: float) -> None:
        """It is held since the first reading, at a monotonic time: before that nothing is counted."""
        if self.told.began == FOR_EVER:
            self.told = self.told._replace(began=at)
            _neighbourhood().put(self.told)

    def end(self, at: float) -> None:
        """It was held until the last reading. Others learn of it at their next one."""
        if self.told.began < self.told.ended == FOR_EVER:
            self._become(self.told._replace(ended=at))

    def keep(self, held: float) -> None:
        """Hold so much from now on: nothing while the reading is the job's part already, by each process's use."""
        if held != self.told.held and self.told.began < self.told.ended == FOR_EVER:
            self._become(self.told._replace(held=held))

    def _become(self, told: Told) -> None:
        _neighbourhood().put(told, self.told)
        self.told = told

    def part(self, since: float, until: float) -> Part:
        """This writer's part of an interval between two monotonic times."""
        since_then, until_then, part = self._last
        if abs(since - since_then) > SAME_S or abs(until - until_then) > SAME_S:  # processor and memory ask in a row
            part = self._part(since, until)
            self._last = since, until, part
        return part

    def _part(self, since: float, until: float) -> Part:
        here = _neighbourhood()
        here.look()
        around = here.around(self.told, since, until)
        if not around or until <= since:
            return ALL
        self._meet(here, around)
        edges = {since, until} | {at for each in around for at in (each.began, each.ended) if since < at < until}
        sums = [0.0, 0.0, 0.0]
        for start, end in pairwise(sorted(edges)):
            living = [each for each in around if each.is_within(start, end)]
            parts = self._own(living), self._held(here, living), self._counted(here, living)
            sums = [total + part * (end - start) for total, part in zip(sums, parts, strict=True)]
        return Part(*(min(total / (until - since), 1.0) for total in sums))

    def _meet(self, here: _Neighbourhood, around: list[Told]) -> None:
        for each in around:
            if each.run != self.told.run:
                same = each.root == self.told.root or here.is_above(each, self.told) or here.is_above(self.told, each)
                shares = "process" if same else "host" if self.told.what == HOST else "device"
                self._met[each.run] = max(shares, self._met.get(each.run, SHARED[0]), key=SHARED.index)

    def _own(self, living: list[Told]) -> float:
        mine = self.told
        if mine.what != HOST:  # of writers that report one device the portal counts one
            return 1.0
        return 1 / (1 + sum(each.run == mine.run and each.root == mine.root for each in living))

    def _held(self, here: _Neighbourhood, living: list[Told]) -> float:
        mine = self.told
        by_root = {mine.root: mine}
        for each in living:
            if each.root != MACHINE and not here.is_above(each, mine) and not here.is_above(mine, each):
                by_root.setdefault(each.root, each)
        if mine.root == MACHINE or not mine.held or len(by_root) == 1:
            return 1.0
        held: dict[str, float] = {}
        whole: dict[str, float] = {}
        for each in by_root.values():
            held[each.allocation] = held.get(each.allocation, 0.0) + each.held
            whole[each.allocation] = max(whole.get(each.allocation, 0.0), each.whole)
        given = {name: min(held[name], whole[name]) for name in held}
        return given[mine.allocation] / held[mine.allocation] * min(self._capacity / sum(given.values()), 1.0)

    def _counted(self, here: _Neighbourhood, living: list[Told]) -> float:
        mine = self.told
        if any(each.project == mine.project and here.is_above(each, mine) for each in living):
            return 0.0
        same = [each for each in living if each.root == mine.root and each.portal == mine.portal]
        outers = {each.outer for each in (*same, mine)}
        if mine.run in outers:
            return 0.0
        return 1 / len({mine.run} | {each.run for each in same if each.run not in outers})
