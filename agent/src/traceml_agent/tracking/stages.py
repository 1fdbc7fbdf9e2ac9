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

    __slots__ = ("_journal", "_telling", "_token", "end_s", "key", "name", "parent", "start_s", "total")

    def __init__(self, name: str, key: str, journal, telling, total: int | None = None):
        self.name, self.key, self.total = name, key, total
        self._journal, self._telling = journal, telling
        self.parent = ""
        self.start_s: float | None = None
        self.end_s: float | None = None
        self._token: contextvars.Token | None = None

    def place(self, began_at: float, ended_at: float) -> None:
        """Record a part that is known only afterwards, by two monotonic times, inside the stage of the current code."""
        self.parent = self._outer()
        self.start_s, self.end_s = began_at - self._journal.started_at, ended_at - self._journal.started_at
        self._journal.report(self)

    def _outer(self) -> str:
        outer = _current.get()
        return outer.key if outer is not None and outer._journal is self._journal else ""

    def __enter__(self) -> Stage:
        self.parent = self._outer()
        self._token = _current.set(self)
        self.start_s = time.monotonic() - self._journal.started_at
        self._journal.report(self)
        return self

    def rename(self, name) -> None:
        """Give the stage another name before it ends, as when its result belongs to it."""
        self.name = metadata.text(name) or self.name

    def __exit__(self, *exception) -> None:
        self.end_s = time.monotonic() - self._journal.started_at
        try:
            if self._token is not None:
                _current.reset(self._token)
        except ValueError:  # left in another thread or task than it was entered in
            pass
        self._journal.report(self)

    def as_wire(self) -> dict:
        """The stage as docs/wire.md describes it."""
        end_s = None if self.end_s is None else round(self.end_s, 6)
        start_s = round(self.start_s or 0.0, 6)
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

    name, key, parent, start_s, end_s = "", "", "", None, None

    def __enter__(self) -> NoStage:
        return self

    def __exit__(self, *exception) -> None:
        pass

    def place(self, began_at: float, ended_at: float) -> None:
        pass

    def rename(self, name) -> None:
        pass
