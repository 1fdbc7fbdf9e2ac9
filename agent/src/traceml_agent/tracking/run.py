"""A run in the process that measures it: its names, its sampler, its spool, and its end.

Nothing here waits for the network: records go to the spool, and the uploader's process is told.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable

from traceml_agent.delivery import uploader
from traceml_agent.host import endings, forks, identity, job, neighbours
from traceml_agent.host.allocation import Target
from traceml_agent.inputs import metadata
from traceml_agent.inputs.config import Settings
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.measuring import summary as numbers
from traceml_agent.measuring.meter import Meter
from traceml_agent.measuring.sampler import Sampler
from traceml_agent.messages import guarded, iso, warn
from traceml_agent.sensors import discovery, unmeasured
from traceml_agent.sensors.sensor import Sensor
from traceml_agent.spool.board import Board, discard
from traceml_agent.spool.file import Spool
from traceml_agent.spool.folder import board_of
from traceml_agent.spool.names import new_writer
from traceml_agent.tracking import current, rotation
from traceml_agent.tracking.budget import Budget
from traceml_agent.tracking.epochs import Gauge
from traceml_agent.tracking.header import header
from traceml_agent.tracking.interface import RunInterface
from traceml_agent.tracking.journal import Journal
from traceml_agent.tracking.ranks import Ranks

STATUSES = ("completed", "failed", "cancelled", "stopped")
#: How long a thread waits for another one to end the run, and the sampler for another's record.
END_S, TURN_S = 10.0, 0.5
#: What a script may say about the run of the command that started it.
ABOUT = ["model", "kind", "name", "tags", "params", "environment"]


class Run(RunInterface):
    """A run in progress. `stop()` ends it and returns its summary; until then `summary` has the figures so far.

    `only` are sensors to read instead of this machine's.
    """

    def __init__(
        self,
        model,
        kind,
        name,
        tags,
        params,
        settings: Settings,
        budget=None,
        target=None,
        about=(),
        around="",
        only=(),
    ):
        self.settings = settings
        self._target: Target = target or Target()
        self._pid = os.getpid()
        self.rank = job.rank()
        self.watched: list = []
        self._around, self.only, self._turn = around, list(only), -1
        self.kind = metadata.kind(kind) or "other"
        self.budget, self._gauge = budget or Budget(), Gauge()
        self._summary: numbers.Summary | None = None
        self._stand_in: RunInterface | None = None
        self._ending, self._writing, self._is_ending = threading.RLock(), threading.RLock(), False
        left_out = LeftOut()
        self.begin_day(time.monotonic())
        self.first_id = self.run_id
        path = self._spool.path or ""
        self.board: Board | None = Board(board_of(path) if path else "", path)
        checks = (self._record, self._after_each, self.board, left_out)
        self._sampler = Sampler(settings.interval, self._started_at, *checks)
        hears = (self._write, self._sampler.mark, lambda: None)
        self._journal = Journal(self._started_at, self.rank, *hears, left_out, own=self.board)
        self.model = identity.model_name(model, left_out)
        if metadata.kind(kind) is None:
            left_out.note("kind", f"must be one of {', '.join(metadata.KINDS)}; other is used")
        self.name, self.tags = metadata.text(name, left_out, "the name"), metadata.tags(tags, left_out)
        self.params = metadata.params(params, left_out)
        self._about, self._environment = list(about), identity.environment()
        self._ranks = Ranks(self.run_id, self.spool_folder)

    def begin_day(self, at: float) -> None:
        """Take the names and the file of the run, or of its next day's, which begins at this monotonic time."""
        self._turn += 1
        self._started_at, self._started_wall_s = at, time.time() - (time.monotonic() - at)
        shared = self.settings.run_id or job.name()
        if shared and self.only:  # the name is that of a run of this process
            shared = f"{shared}/{self.only[0].facts['name']}"
        self.run_id = rotation.run_id(shared, self) if shared else identity.new_run_id()
        self.writer = new_writer()
        self._spool = Spool.create(self.settings, self.run_id, self.writer)
        self.url = f"{self.settings.url}/runs/{self.run_id}/" if self.settings.url else None
        self._neighbours = neighbours.Neighbours(self.run_id, self.writer, self.settings, self._target, self._around)

    @property
    def spool_folder(self) -> str:
        """The folder of its spool file; empty if no folder is writable."""
        return os.path.dirname(self._spool.path or "")

    def begin(self) -> Run:
        """Start measuring. Everything that takes long happens on the sampler's thread."""
        with forks.loading():
            here = discovery.of_host(self.settings.scope, self._target)
            self._sampler.meters = [Meter(sensor) for sensor in self.only] or self._meters(here)
        endings.at_end_of_process(current.end_of_process)
        current.started.append(self)
        try:
            # Both happen here, not on the thread: a run that is killed at once still counts, and the user's code must
            # not see the process that starts the uploader.
            with forks.loading():
                told = header(self)
            self._spool.append("header", told)
            self._hand_over()
            self._sampler.start(self._prepare)
            current.let_others_read(self)
        except BaseException as error:  # from a signal handler, say: nobody else could end this run
            status, exception = endings.of_exception(type(error), error, self.kind)
            self._end("stopped" if status == "failed" else status, exception)
            raise
        job.tell_children(current.last())
        if self.rank == 0:
            numbers.announce(self)
        return self

    def _meters(self, found: Iterable[Sensor]) -> list[Meter]:
        """A meter for each sensor. Runs that hold the same device at the same time know of each other."""
        return [Meter(sensor, self._neighbours.hold(sensor.facts)) for sensor in found]

    def _prepare(self) -> None:
        with forks.loading():
            from traceml_agent import catalogue, estimation  # noqa: F401 (an upgrade may replace the files meanwhile)
        if self.only:
            return
        accelerators = discovery.of_accelerators(self.settings.scope, self._target, self.settings.devices)
        found = [sensor for sensor in accelerators if self._ranks.take(sensor.facts["uuid"])]
        replaced = {key for sensor in found for key in sensor.replaces}
        kept = [meter for meter in self._sampler.meters if meter.facts["key"] not in replaced]
        self._sampler.meters = kept + self._meters(found)  # in one step, since other threads may read it
        for what, reason in unmeasured.devices():
            self._journal.left_out.note(what, reason)

    def _hand_over(self) -> None:
        """Give the spool file to this portal's uploader, which the first run that needs it starts."""
        if not (self.settings.url and self._spool.path):
            return
        if not self.settings.token:
            warn("no token: set TRACEML_AGENT_TOKEN or run `traceml-agent login`. The run is kept in the spool.")
        elif mine := uploader.of(self.settings):
            mine.own(self._spool.path)

    def journal(self) -> Journal | None:
        """The run's own journal; in a forked child, that of the child's scribe; None after the end."""
        if os.getpid() != self._pid:
            return self._handle().journal()
        return self._journal if self._summary is None else None

    def _handle(self):
        """The handle that represents the run in another process."""
        if self._stand_in is None:
            from traceml_agent.tracking.handle import Handle

            self._stand_in = Handle(self.run_id, self._spool.path or "", identity.host_name(), header(self))
        return self._stand_in

    def _write(self, samples: list[dict] | None = None) -> None:
        """Write everything since the last record, in as many records as the portal's limits require."""
        with self._writing:
            counters = {"samples": samples, "devices": self._devices()} if samples else {}
            totals = {"calls": self.board.calls() if self.board else [], "overlaps": self._neighbours.overlaps()}
            self._journal.write_to(self._spool, counters, totals)

    def _devices(self) -> list[dict]:
        """The devices as the portal accepts them, whatever their drivers say."""
        return [meter.facts_told(self._journal.left_out) for meter in self._sampler.meters]

    def _record(self, samples: list[dict]) -> None:
        """Called by the sampler: read the uploader's answers, and write a record."""
        for each in uploader.all_of_this_process():
            each.hear()  # its warnings, such as about a token that the portal refuses
            for answer in each.refused_of(self.run_id):
                self._journal.left_out.note(*answer)
            if each.is_gone:
                self._hand_over()
        # A signal's handler may wait for this thread amid a record of the main one; the next record has all, then.
        if self._writing.acquire(timeout=TURN_S):
            try:
                self._write(samples)
            finally:
                self._writing.release()
        self._tell_ranks()

    def _after_each(self) -> None:
        """Called by the sampler after each tick."""
        if rotation.is_due(self):
            rotation.rotate(self)
        self.check_budget()

    def check_budget(self) -> None:
        """Check the budget, after each tick and each epoch."""
        if self.budget.is_set and self.is_measuring:
            self.budget.check(self, self._so_far())

    def begins_no_further_epoch(self) -> bool:
        """In a job the first rank decides, one epoch ahead: a rank that stops alone would leave the others waiting."""
        if job.size() == 1:
            return super().begins_no_further_epoch()
        if self._ranks.end_with_the_next_epoch(self.budget.stops):
            self._tell_ranks()
        return self._ranks.are_past_the_last_epoch()

    def _tell_ranks(self) -> None:
        if job.size() > 1:
            self._ranks.tell(self._own(), self._work())

    def energy_j(self, now: float, exactly: bool = False) -> float:
        """Joules so far at a monotonic time: the last readings (new ones if `exactly`), plus the power since."""
        if not self.is_measuring:
            return 0.0 if os.getpid() == self._pid else self._handle().energy_j(now, exactly)
        self._sampler.catch_up(0.0 if exactly else None)
        self._gauge.read(self._sampler.meters)
        return self._gauge.energy_j(now)

    @property
    def is_open(self) -> bool:  # type: ignore[override]
        return self._summary is None

    @property
    def is_measuring(self) -> bool:
        """False in a forked child, whose copy of the run is a handle, and after the end."""
        return self._summary is None and os.getpid() == self._pid

    @property
    def summary(self) -> numbers.Summary:
        """Energy, emissions and devices so far, or of the whole run once it has stopped. See `stop`."""
        if os.getpid() != self._pid:
            return self._handle().summary
        if self.is_measuring:
            self._sampler.catch_up()
        return self._summary or self._so_far()

    def _own(self) -> numbers.Summary:
        """The figures of what this process measures."""
        return numbers.summarise(self._sampler.meters, time.monotonic() - self._started_at, self.url)

    def _work(self) -> dict[str, float]:
        """Useful work of this process and its children."""
        theirs = self.board.work() if self.board else {}
        return {name: amount + theirs.get(name, 0.0) for name, amount in self._journal.own_work().items()}

    @guarded(numbers.nothing)
    def _so_far(self) -> numbers.Summary:
        """The figures of the run: in a job, of all ranks on this host together."""
        summary, work = self._own(), self._work()
        summary.curve = self._sampler.curve
        if job.size() > 1:
            self._ranks.add_to(summary, work)
        summary["work"] = numbers.per_unit(work, summary.energy_kwh)
        summary["left_out"] = numbers.left_out(self._journal.left_out, self._spool.dropped)
        return summary

    def stop(self, status: str = "completed", exception: str = "") -> numbers.Summary:
        """End the run and return its summary; a second call returns the same.

        `energy_kwh`, `emissions_kg` (kgCO2e), `duration_s`, `measured_share` (0 to 1), `url`, `left_out` (what was not
        kept, and why), and `devices`, each with `kind`, `name`, `uuid`, `basis`, `energy_j`, `busy_s`, `elapsed_s`.
        """
        if os.getpid() != self._pid:
            return self._handle().stop()
        if self.is_measuring:
            self._end(status, exception)
        return self.summary

    @guarded()
    def _end(self, status, exception, unsure: bool = False) -> None:
        """End the run once. Others wait, but not for ever: a signal handler may have interrupted what the end needs."""
        if not self._ending.acquire(timeout=END_S):
            return
        try:
            if not (self._is_ending or self._summary):
                self._is_ending = True
                self._end_now(status, exception, unsure)
        except BaseException:
            self._is_ending = False  # a signal handler raised: the end of the process does the rest
            raise
        finally:
            self._ending.release()

    def _end_now(self, status, exception, unsure: bool) -> None:
        self._sampler.stop()
        for meter in self._sampler.meters:
            if meter.hold is not None and meter.at:
                meter.hold.end(meter.at)
        self._neighbours.end(time.monotonic())
        current.let_others_read(self)
        since = {name: version for name, version in identity.packages().items() if name not in self._environment}
        self._journal.tell({"environment": since} if since else {})
        self._write()
        self._tell_ranks()
        summary = self._so_far()
        finish = self._finish(status, exception, summary.duration_s)
        self._spool.append("finish", finish | ({"unsure": True} if unsure else {}))
        self._spool.flush_to_disk()
        if self._spool.close():
            discard(self._spool.path or "")  # everything on its board is written
        if self in current.started:
            current.started.remove(self)
            job.tell_children(current.last())
        self._summary = summary
        if self.board:
            self.board.close()
        self._ranks.release()
        for each in uploader.all_of_this_process():
            each.wake()
        self._end_reports(summary)  # when all else is kept, since it may take a moment
        summary["left_out"] = numbers.left_out(self._journal.left_out, self._spool.dropped)
        if self.rank == 0:
            numbers.conclude(self, summary)

    def _finish(self, status, exception, duration_s: float) -> dict:
        words = metadata.text(exception)
        return {
            "status": status if status in STATUSES else "completed",
            "ended_at": iso(self._started_wall_s + duration_s),
            "exception": job.by_rank(words, self.rank),
            "dropped_records": self._spool.dropped,
            "devices": self._devices(),
            "samples": self._sampler.samples(),
            "left_out": self._journal.left_out.rows(),
            "overlaps": self._neighbours.overlaps(),
        }

    def __exit__(self, kind, error, traceback) -> None:
        self.stop(*endings.of_exception(kind, error, self.kind))

    def __reduce__(self):
        return self._handle().__reduce__()

    def __repr__(self) -> str:
        return f"<Run {self.run_id} of {self.model}>"
