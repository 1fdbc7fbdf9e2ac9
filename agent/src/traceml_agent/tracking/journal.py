"""What any thread reported since a run's last record: metrics, stages, parameters, and what was left out."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
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


class Journal:
    """Keeps what is reported in memory until `bodies` hands it over. A call that fills a record writes it itself.

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
        self._told_work = dict(self.work)
        self._told_left_out: list[dict] = []
        self._prefix, self._keys = prefix, itertools.count(1)
        self._metrics: deque[tuple[float, str, float]] = deque()  # with monotonic times
        self._stages: deque[Stage] = deque()
        self._names: set[str] = set()
        self._abouts: deque[dict] = deque()
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
        self._former_work = dict(self._told_work)
        self.left_out.clear()
        self._told_left_out = []

    def log(self, given: tuple, named: dict, at: float | None = None) -> None:
        """Keep numbers with the time at which they were logged, or with `at`, a monotonic time."""
        at = time.monotonic() if at is None else at
        for name, value in metadata.metrics(given, named, self.left_out, self._names):
            if name in self.work:
                self._add_work(name, value)
            elif not self._rank:
                self._metrics.append((at, name, value))
        self._on_news()
        self._write_what_is_much(self._metrics)

    def _add_work(self, name: str, amount: float) -> None:
        if isfinite(self.work[name] + amount):
            self.work[name] += amount
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
        self._stages.append(stage)
        self._on_stage()
        self._write_what_is_much(self._stages)

    def tell(self, about: dict) -> None:
        """Note further names or parameters of the run."""
        if self._rank or not about:
            return
        self._abouts.append(about)
        self._told_about = enriched(self._told_about, about)
        self._on_news()

    def _write_what_is_much(self, rows: deque) -> None:
        if len(rows) >= MAX_ROWS:
            self._write()

    def seconds(self, at: float) -> float:
        """A monotonic time as seconds of the run; what the next day's run takes over happened at its start."""
        return max(round(at - self.started_at, 6), 0.0)

    def bodies(self, first: dict) -> Iterator[dict]:
        """Everything kept, in as many records as the portal's limits require, the first including `first`.

        One thread at a time may ask and write: with two, work would count twice, and a stage might stay open.
        """
        metrics = [self._metric(*row) for row in _drained(self._metrics)] + self._work_done()
        stages = list({stage.key: stage.as_wire() for stage in _drained(self._stages)}.values())
        abouts = joined(_drained(self._abouts))
        body = first | self._left_out()
        while body or metrics or stages or abouts:
            rows = {"metrics": metrics[:MAX_ROWS], "stages": stages[:MAX_ROWS]}
            about = {"about": abouts.pop(0)} if abouts else {}
            yield body | about | {name: some for name, some in rows.items() if some}
            body, metrics, stages = {}, metrics[MAX_ROWS:], stages[MAX_ROWS:]

    def _metric(self, at: float, name: str, value: float) -> dict:
        return {"t_s": self.seconds(at), "name": name, "value": value}

    def _work_done(self) -> list[dict]:
        """Work since the last record, as metrics: one number each, however often it was logged."""
        work = dict(self.work)  # in one step, since other threads go on adding
        done = {name: total - self._told_work[name] for name, total in work.items() if total != self._told_work[name]}
        self._told_work = work
        if self._own is not None:
            for name in done:
                self._own.tell_work(name, work[name])
        return [self._metric(time.monotonic(), name, amount) for name, amount in done.items()]

    def _left_out(self) -> dict:
        """Everything left out so far, if that has changed since the last record."""
        rows = self.left_out.rows()
        if rows == self._told_left_out:
            return {}
        self._told_left_out = rows
        return {"left_out": rows}


def _drained(rows: deque) -> Iterator:
    """All items of a deque that other threads may fill meanwhile."""
    while rows:
        try:
            yield rows.popleft()
        except IndexError:  # another thread took the last
            return
