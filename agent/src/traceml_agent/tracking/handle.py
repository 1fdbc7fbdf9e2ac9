"""A run outside the process that measures it: a forked, spawned or pickled copy, or a script under `traceml-agent run`.

What such a process reports goes to a spool file of its own, which the run's uploader delivers. Its processor time is in
the run already, since it is a child.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

from traceml_agent.host import endings, identity, job
from traceml_agent.host.bell import Bell
from traceml_agent.inputs import config, metadata
from traceml_agent.measuring import summary as numbers
from traceml_agent.messages import guarded
from traceml_agent.spool import recording
from traceml_agent.spool.board import Board, discard, left_by
from traceml_agent.spool.file import Spool
from traceml_agent.spool.files import has_living_writer, spool_files
from traceml_agent.spool.folder import board_of, is_usable
from traceml_agent.spool.names import is_written_by, new_writer, run_of
from traceml_agent.tracking import current
from traceml_agent.tracking.budget import Budget
from traceml_agent.tracking.header import first_run, is_gone, later_day
from traceml_agent.tracking.interface import RunInterface
from traceml_agent.tracking.journal import Journal

#: Frequent reports are written after this time, which is the most that a kill loses. The first ones, and then so many
#: per second, are written at once: a pool kills its workers the moment their tasks are done.
WRITE_S = 0.5
AT_ONCE, AT_ONCE_PER_S = 100, 20
#: Seconds between two checks of a budget.
LOOK_EVERY_S = 1.0

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceml_agent.tracking.run import Run

_scribes: dict[tuple[str, int], Scribe] = {}
#: Of runs that go on for days, what a handle of today's run is made of, by the run of the first day.
_latest: dict[str, tuple] = {}
#: A signal handler may report something while the code that it interrupted does so.
_making = threading.RLock()


class Handle(RunInterface):
    """Represents a run that another process measures. It may be copied and pickled, and holds no secret.

    `path` is the run's spool file on `host` (empty: none), `header` the first record in it.
    """

    def __init__(self, run_id: str, path: str, host: str, header: dict):
        self._take((run_id, path, host, header))
        self.rank, self.budget = job.rank(), Budget()
        self._look_at = 0.0
        self.watched: list = []

    def _take(self, origin: tuple) -> None:
        run_id, path, _, header = self._origin = origin
        self.run_id, self.model, self.kind = run_id, header["model"], header["kind"]
        self.url = f"{header['portal']}/runs/{run_id}/" if header["portal"] else None
        self._path, self._takes = path, header["about"]

    def journal(self) -> Journal | None:
        """The run's own journal if this is its process, else that of this process's scribe."""
        return mine.journal() if (mine := self._mine()) else self._scribe().journal

    @property
    def board(self) -> Board | None:  # type: ignore[override]
        """Where the calls of watched models are counted."""
        return mine.board if (mine := self._mine()) else self._scribe().board

    def _mine(self) -> Run | None:
        """The run itself, if this process measures it."""
        first = first_run(self._origin)
        return next((run for run in current.active() if run.first_id == first), None)

    def _scribe(self) -> Scribe:
        """This process's scribe for the run; for the next day's, once the run goes on as that."""
        first = first_run(self._origin)
        origin = _latest.get(first, self._origin)
        known = _scribes.get((origin[0], os.getpid()))
        if (known.is_behind if known else is_gone(origin)) and (later := later_day(origin)):
            _latest[first] = origin = later
        scribe = scribe_of(*origin)
        if known and scribe is not known:
            scribe.journal.tell(known.journal.told_about)
            _scribes.pop((known.run_id, os.getpid()), known).end()
        if origin is not self._origin:
            self._take(origin)
        return scribe

    def energy_j(self, now: float, exactly: bool = False) -> float:
        """Joules so far, at most a few seconds old. Only `exactly` is worth reading the spool."""
        return self.summary.energy_kwh * 3.6e6 if exactly else 0.0

    @property
    def summary(self) -> numbers.Summary:
        """What `Run.stop` returns, from what the spool has so far of all processes on this host."""
        return self._so_far()

    @guarded(numbers.nothing)
    def _so_far(self) -> numbers.Summary:
        from traceml_agent.measuring.spooled import summary

        self._write()
        while True:
            files = [path for path in spool_files(os.path.dirname(self._path)) if run_of(path) == self.run_id]
            try:
                found = summary(files) if self._path in files else numbers.nothing()
                break
            except FileNotFoundError:  # a child's file, delivered meanwhile
                continue
        found["url"] = self.url
        return found

    @guarded()
    def tell(self, model, kind, name, tags, params) -> None:
        """Take what a script under `traceml-agent run` says about its run, which is the command's."""
        journal = self.journal() if self._takes else None
        if journal is None:
            return
        given = {
            "model": metadata.text(model, journal.left_out, "the model's name"),
            "kind": metadata.kind(kind),
            "name": metadata.text(name, journal.left_out, "the name"),
            "tags": metadata.tags(tags, journal.left_out),
            "params": metadata.params(params, journal.left_out),
            "environment": identity.environment(),
        }
        journal.tell({key: value for key, value in given.items() if value and key in self._takes})

    @guarded()
    def keep_to(self, budget: Budget) -> None:
        """Check every few seconds whether the run has used that much."""
        if budget.is_set and not self._mine():
            if job.size() > 1:
                budget.only_warns("ranks that are measured from outside")
            self.budget = budget
            self._scribe().checks.append(self.check_budget)

    @guarded()
    def check_budget(self) -> None:
        """Check the budget, from the spool. This takes at most a hundredth of the time."""
        began_at = time.monotonic()
        if self.budget.is_set and began_at >= self._look_at:
            self.budget.check(self, self.summary)
            self._look_at = time.monotonic() + max(LOOK_EVERY_S, 100 * (time.monotonic() - began_at))

    def stop(self, status: str = "completed", exception: str = "") -> numbers.Summary:
        """Write what was reported, and return the summary so far. The run ends where it is measured."""
        self._conclude()
        return self.summary

    @guarded()
    def _write(self) -> None:
        if scribe := _scribes.get((self.run_id, os.getpid())):
            scribe.write()

    def __exit__(self, kind, error, traceback) -> None:
        self._note(kind, error)
        self._conclude()

    @guarded()
    def _note(self, kind, error) -> None:
        """Note how a script's block ended: if the command fails, this is the reason."""
        status, exception = endings.of_exception(kind, error, self.kind)
        if self._takes and self.board:
            self.board.note_error(job.by_rank(exception, self.rank) if status == "failed" else "")

    @guarded()
    def _conclude(self) -> None:
        if "environment" in self._takes and (journal := self.journal()):
            journal.tell({"environment": identity.packages()})  # more packages are loaded by now
        self._write()
        if self.reports:
            self._end_reports(self.summary)
            self.reports = ()

    def __reduce__(self):
        return Handle, self._origin

    def __repr__(self) -> str:
        return f"<Handle of run {self.run_id} of {self.model}>"


class Scribe:
    """What this process reports to a run that is measured elsewhere: a journal, calls, and a spool file for both."""

    def __init__(self, run_id: str, path: str, host: str, header: dict):
        self.run_id, self._turn = run_id, header.get("turn", 0)
        #: Whether the run has gone on as the next day's.
        self.is_behind = False
        is_here = host == identity.host_name()
        place = os.path.dirname(path)
        settings = config.load(url=header["portal"], spool_dir=place if is_here and is_usable(place) else None)
        writer = new_writer()
        self._spool = Spool.create(settings, run_id, writer)
        # Calls add up on the run's own board, which its process reads. If that is not available, they are sent from
        # here.
        shared = left_by(path) if is_here else None
        self._tells_calls = shared is None
        self.board = shared or Board(board_of(self._spool.path) if self._spool.path else "", self._spool.path or "")
        self._news, self._over, self._lock = Bell(), Bell(), threading.RLock()
        self._is_writing = self._ended = False
        self._run = path if is_here else ""
        self.checks: list[Callable[[], None]] = []
        self._began_at, self._written_at_once = time.monotonic(), 0
        # Durations use this machine's monotonic clock; on another machine the wall clock has to do.
        started_at = header["clock_s"] if is_here else time.monotonic() - (time.time() - header["wall_s"])
        hears = (self.write, self._hear, self._hear)
        self.journal = Journal(started_at, job.rank(), *hears, prefix=f"{writer[2:]}-", board=shared)
        self._spool.append("header", header | {"child_of": header["writer"]})
        if not is_here and settings.url and settings.token and self._spool.path:
            from traceml_agent.delivery import uploader

            if mine := uploader.of(settings):  # the run's uploader is on the other machine
                mine.own(self._spool.path)
        self._look()
        threading.Thread(target=self._write_for_ever, name="traceml-scribe", daemon=True).start()
        endings.at_end_of_process(end_of_process)

    def _write_for_ever(self) -> None:
        while not self._ended:
            # Calls ring no bell, or each would cost as much as a record.
            self._news.wait(2 * WRITE_S)
            self.write()
            for check in self.checks:
                check()
            self._look()
            self._over.wait(WRITE_S)

    def _look(self) -> None:
        with contextlib.suppress(ValueError):  # the board was just closed
            self.is_behind = not self._tells_calls and self.board.turns != self._turn

    @property
    def is_over(self) -> bool:
        """Whether the run has ended where it is measured; False if that can't be seen."""
        return bool(self._run) and not has_living_writer(self._run)

    def _hear(self) -> None:
        """Write what was just reported, or leave it to the thread if there is much."""
        most = AT_ONCE + AT_ONCE_PER_S * (time.monotonic() - self._began_at)
        if self._written_at_once < most and not self._is_writing:
            self._written_at_once += 1
            self.write()
        else:
            self._news.ring()

    def write(self) -> None:
        """Write what was reported since the last time."""
        with self._lock:  # as a block: a signal's handler that raises right after `acquire()` would leave it locked
            try:
                self._is_writing = True
                if not self._ended:
                    calls = self.board.calls() if self._tells_calls else []
                    self.journal.write_to(self._spool, {}, {"calls": calls})
            finally:
                self._is_writing = False

    def end(self) -> None:
        """Write the rest, and that this is the end."""
        self.write()
        self._ended = True
        self._over.ring()
        self._news.ring()
        self._spool.append("finish", {"dropped_records": self._spool.dropped})
        if self._spool.close():
            discard(self._spool.path or "")
        self.board.close()


def scribe_of(run_id: str, path: str, host: str, header: dict) -> Scribe:
    """The scribe of this process for a run; a forked child makes its own.

    A new scribe ends those of finished runs, since a pool's worker may see thousands.
    """
    key = (run_id, os.getpid())
    with _making:
        if key not in _scribes:
            for over in [each for each, scribe in _scribes.items() if scribe.is_over]:
                _scribes.pop(over).end()
            made = Scribe(run_id, path, host, header)
            if _scribes.setdefault(key, made) is not made:  # a signal handler came in between
                made.end()
        return _scribes[key]


def _forget_the_parents() -> None:
    """Make a new lock in a forked child: another thread of the parent may have held the old one."""
    global _making
    _making = threading.RLock()
    _scribes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)


@guarded()
def end_of_process() -> None:
    """End the scribes of this process."""
    while _scribes:
        _scribes.popitem()[1].end()


def last_or_outer() -> RunInterface | None:
    """The run that code outside of all blocks belongs to: the latest of this process, or else the outer one."""
    return current.last() or outer()


def outer() -> Handle | None:
    """The run, if any, by which an ancestor measures this process: a worker of a run, or a command's script.

    It must be alive now: the mark in the environment outlives the run that it was made for.
    """
    from traceml_agent.host.processes import ancestors

    pid, began, place = job.marked()
    if not pid or pid == os.getpid() or pid not in ancestors(os.getpid()):
        return None
    for path in reversed(spool_files(place)):
        with contextlib.suppress(OSError):  # the run just ended, and its file is delivered
            if is_written_by(path, pid, began) and has_living_writer(path) and not recording.is_finished(path):
                header: dict = next((record["body"] for _, record in recording.read(path) if record), {})
                if "clock_s" in header and "child_of" not in header:
                    return Handle(run_of(path), path, identity.host_name(), header)
    return None
