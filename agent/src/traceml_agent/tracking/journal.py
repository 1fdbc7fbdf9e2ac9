"""What any thread reported since a run's last record: metrics, stages, parameters, and what was left out."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable
from math import isfinite

from traceml_agent.inputs import metadata
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.measuring.summary import WORK
from traceml_agent.spool.board import Board
from traceml_agent.spool.recording import enriched, joined, within_limits
from traceml_agent.tracking.stages import NoStage, Stage

#: Most rows of one kind in a record (several records make a batch), and most stages of a run: the portal's limits.
MAX_ROWS = 1000
MAX_STAGES = 20_000


class Batch:
    """What was reported until the next batch began. From then on its records stay the same: whoever is interrupted
    while writing them, or interrupts that, writes them again under the same numbers, and readers keep one of each."""

    def __init__(self) -> None:
        self.metrics: deque[tuple[float, str, float]] = deque()  # with monotonic times
        self.stages: deque[Stage] = deque()
        self.abouts: deque[dict] = deque()
        self.work: dict[str, float] = dict.fromkeys(WORK, 0.0)
        self.others: dict = {}
        self.bodies: list[dict] = []
        self.numbers: list[int] = []

    @property
    def is_empty(self) -> bool:
        return not (self.metrics or self.stages or self.abouts or self.others or any(self.work.values()))


class Journal:
    """Keeps what is reported in memory until `write_to` writes it. A call that fills a record has it written.

    `write` writes a record now; `on_stage` is called when a stage begins or ends, `on_news` on everything else. Only
    the first rank of a job reports, but the work of all counts. `prefix` marks this process's stages among the run's
    others.
    """

    def __init__(
        self,
        started_at: float,
        rank: int,
        write: Callable[[], None],
        on_stage: Callable[[], None],
        on_news: Callable[[], None],
        left_out: LeftOut | None = None,
        prefix: str = "",
        board: Board | None = None,
        own: Board | None = None,
    ):
        self.started_at, self.left_out = started_at, left_out or LeftOut()
        self.work: dict[str, float] = dict.fromkeys(WORK, 0.0)
        self._rank, self._write, self._on_stage, self._on_news = rank, write, on_stage, on_news
        self._board, self._own = board, own  # of the run whose child's journal this is; of the run whose own it is
        #: What adds up over the run, as it was last written: calls, overlaps, what was left out.
        self.told: dict[str, list[dict]] = {}
        self._prefix, self._keys = prefix, itertools.count(1)
        #: The last one takes what is reported; the others are being written.
        self._batches: deque[Batch] = deque([Batch()])
        self._names: set[str] = set()
        #: Everything that was told about the run, and the work of former days.
        self._told_about: dict = {}
        self._former_work = dict(self.work)
        self._open: set[str] = set()

    @property
    def has_open_stage(self) -> bool:
        return bool(self._open)

    @property
    def told_about(self) -> dict:
        """Everything that was told about the run, as far as a portal takes it at once."""
        return within_limits(self._told_about)

    def own_work(self) -> dict[str, float]:
        """Useful work that was logged here, of the run's day if it goes on for days."""
        return {name: total - self._former_work[name] for name, total in self.work.items()}

    def begin_anew(self, started_at: float) -> None:
        """Go on as the journal of the next day's run. What was reported since the last record belongs to that."""
        self.started_at = started_at
        self._former_work = dict(self.work)
        for batch in list(self._batches):
            batch.bodies, batch.numbers = [], []  # they were for the former file
            for name, amount in batch.work.items():
                self._former_work[name] -= amount
        self.left_out.clear()
        self.told = {}

    def log(self, given: tuple, named: dict, at: float | None = None) -> None:
        """Keep numbers with the time at which they were logged, or with `at`, a monotonic time."""
        at = time.monotonic() if at is None else at
        for name, value in metadata.metrics(given, named, self.left_out, self._names):
            if name in self.work:
                self._add_work(name, value)
            elif not self._rank:
                self._batches[-1].metrics.append((at, name, value))
        self._on_news()
        if len(self._batches[-1].metrics) >= MAX_ROWS:
            self._write()

    def _add_work(self, name: str, amount: float) -> None:
        if isfinite(self.work[name] + amount):
            self.work[name] += amount
            self._batches[-1].work[name] += amount
            if self._board is not None:
                self._board.add_work(name, amount)
            if self._own is not None:
                self._own.keep_work(name, self.work[name])
        else:
            self.left_out.note(f"metric {name!r}", "the amounts add up to more than a number can hold")

    def stage(self, name, telling, total: int | None = None) -> Stage | NoStage:
        """A new stage of the run, which reports here."""
        if self._rank:
            return NoStage()
        number = next(self._keys)
        if number > MAX_STAGES:
            self.left_out.note("stage", f"a run keeps the first {MAX_STAGES}")
            return NoStage()
        words = metadata.text(name, self.left_out, "a stage's name") or "stage"
        return Stage(words, f"{self._prefix}{number}", self, telling, metadata.total(total))

    def report(self, stage: Stage) -> None:
        """Note that a stage began or ended."""
        (self._open.add if stage.ended_at is None else self._open.discard)(stage.key)
        self._batches[-1].stages.append(stage)
        self._on_stage()
        if len(self._batches[-1].stages) >= MAX_ROWS:
            self._write()

    def tell(self, about: dict) -> None:
        """Note further names or parameters of the run."""
        if self._rank or not about:
            return
        self._batches[-1].abouts.append(about)
        self._told_about = enriched(self._told_about, about)
        self._on_news()

    def seconds(self, at: float) -> float:
        """A monotonic time as seconds of the run; what the next day's run takes over happened at its start."""
        return max(round(at - self.started_at, 6), 0.0)

    def write_to(self, spool, counters: dict, totals: dict[str, list[dict]]) -> None:
        """Write everything reported, in as many records as the portal's limits require: with it samples and devices,
        if there are new ones, and those of the `totals` that have changed.

        One thread at a time may call this. A signal's handler that ends the run in the midst of it may, too.
        """
        totals = totals | {"left_out": self.left_out.rows()}
        changed = {name: rows for name, rows in totals.items() if rows != self.told.get(name, [])}
        self._batches[-1].others |= counters | changed
        if not self._batches[-1].is_empty:
            self._batches.append(Batch())
        if self._own is not None:  # now: whoever is killed while writing loses a little, and counts nothing twice
            for name in filter(self.work.get, self.work):
                self._own.tell_work(name, self.work[name] - self._batches[-1].work[name])
        while len(self._batches) > 1 and not spool.is_closed:
            batch = self._batches[0]
            bodies = batch.bodies or self._bodies(batch)
            batch.bodies = bodies = batch.bodies or bodies  # a handler that came in between may have made them
            for place, body in enumerate(bodies):
                if place == len(batch.numbers):
                    batch.numbers.append(spool.next_number())
                spool.append("update", body, batch.numbers[place])
            with contextlib.suppress(ValueError):
                self._batches.remove(batch)
        self.told = totals

    def _bodies(self, batch: Batch) -> list[dict]:
        metrics = [self._metric(*row) for row in batch.metrics]
        metrics += [self._metric(time.monotonic(), name, amount) for name, amount in batch.work.items() if amount]
        stages = list({stage.key: stage.as_wire() for stage in batch.stages}.values())
        abouts, others, found = joined(batch.abouts), batch.others, []
        while metrics or stages or abouts or others:
            rows = {"metrics": metrics[:MAX_ROWS], "stages": stages[:MAX_ROWS]}
            about = {"about": abouts.pop(0)} if abouts else {}
            found.append(others | about | {name: some for name, some in rows.items() if some})
            others, metrics, stages = {}, metrics[MAX_ROWS:], stages[MAX_ROWS:]
        return found

    def _metric(self, at: float, name: str, value: float) -> dict:
        return {"t_s": self.seconds(at), "name": name, "value": value}
