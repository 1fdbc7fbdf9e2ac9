"""Named parts of a run: an epoch, an evaluation, a block of predictions. They may nest and overlap."""

from __future__ import annotations

import contextvars
import time

from traceml_agent.inputs import metadata

#: The stage that the current code runs in; correct in threads, under asyncio, and for stages that overlap.
_current: contextvars.ContextVar[Stage | None] = contextvars.ContextVar("traceml_stage", default=None)


class Stage:
    """A context manager that records when a named part of a run began and ended, in seconds since the run's start.

    Its energy comes from the samples around it, so entering and leaving it costs microseconds. A copy is the stage
    itself; a pickle becomes a new stage of the same name and run.
    """

    __slots__ = ("_journal", "_telling", "_token", "began_at", "ended_at", "key", "name", "parent", "total")

    def __init__(self, name: str, key: str, journal, telling, total: int | None = None):
        self.name, self.key, self.total = name, key, total
        self._journal, self._telling = journal, telling
        self.parent = ""
        #: Monotonic times; None before it has begun or ended.
        self.began_at: float | None = None
        self.ended_at: float | None = None
        self._token: contextvars.Token | None = None

    def place(self, began_at: float, ended_at: float) -> None:
        """Record a part that is known only afterwards, by two monotonic times, inside the stage of the current code."""
        self.parent = self._outer()
        self.began_at, self.ended_at = began_at, ended_at
        self._journal.report(self)

    def _outer(self) -> str:
        outer = _current.get()
        return outer.key if outer is not None and outer._journal is self._journal else ""

    def __enter__(self) -> Stage:
        self.parent = self._outer()
        self._token = _current.set(self)
        self.began_at = time.monotonic()
        self._journal.report(self)
        return self

    def rename(self, name) -> None:
        """Give the stage another name before it ends, as when its result belongs to it."""
        self.name = metadata.text(name) or self.name

    def __exit__(self, *exception) -> None:
        self.ended_at = time.monotonic()
        try:
            if self._token is not None:
                _current.reset(self._token)
        except ValueError:  # left in another thread or task than it was entered in
            pass
        self._journal.report(self)

    def as_wire(self) -> dict:
        """The stage as docs/wire.md describes it."""
        began_at, ended_at = self.began_at, self.ended_at  # another thread may end it meanwhile
        start_s = 0.0 if began_at is None else self._journal.seconds(began_at)
        end_s = None if ended_at is None else self._journal.seconds(ended_at)
        wire = {"id": self.key, "name": self.name, "parent": self.parent, "start_s": start_s, "end_s": end_s}
        return wire if self.total is None else wire | {"total": self.total}

    def __copy__(self) -> Stage:
        return self

    def __deepcopy__(self, memo) -> Stage:
        return self

    def __reduce__(self):
        return _stage_of, (self._telling, self.name)


def _stage_of(telling, name: str):
    return telling.stage(name)


class NoStage:
    """The stage of a run that measures nothing: leaves no trace."""

    name, key, parent, began_at, ended_at = "", "", "", None, None

    def __enter__(self) -> NoStage:
        return self

    def __exit__(self, *exception) -> None:
        pass

    def place(self, began_at: float, ended_at: float) -> None:
        pass

    def rename(self, name) -> None:
        pass
