"""The run that stands in where nothing is measured."""

from __future__ import annotations

import os

from traceml_agent.host import identity
from traceml_agent.measuring import summary as numbers
from traceml_agent.tracking.budget import Budget
from traceml_agent.tracking.run import Run


class InertRun(Run):
    """A run that measures nothing and leaves no trace, because the agent is disabled or nothing is tracked."""

    def __init__(self, model=None):
        self.model = identity.model_name(model)
        self.kind, self.run_id, self.url = "other", "", None
        self.rank, self.budget, self.board = 0, Budget(), None
        self._pid = os.getpid()
        self._summary = numbers.nothing()

    def journal(self) -> None:
        return None

    @property
    def summary(self) -> numbers.Summary:
        return self._summary or numbers.nothing()

    def begins_no_further_epoch(self) -> bool:
        return False

    def stop(self, status: str = "completed", exception: str = "") -> numbers.Summary:
        return self.summary

    def __exit__(self, *exception) -> None:
        pass

    def __bool__(self) -> bool:
        return False

    def __reduce__(self):
        return InertRun, (self.model,)
