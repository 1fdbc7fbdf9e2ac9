"""A budget of energy or emissions: what a run may use, and what happens when it is used up."""

from __future__ import annotations

import threading
from collections.abc import Callable

from traceml_agent import figures
from traceml_agent.host import job
from traceml_agent.inputs.metadata import number
from traceml_agent.messages import warn

ACTIONS = ("warn", "stop")


class Budget:
    """At most `kwh` of energy and `kg` of CO2e; None for no limit."""

    def __init__(self, kwh=None, kg=None, on_budget="warn"):
        self.kwh, self.kg = _bound("budget_kwh", kwh), _bound("budget_kg", kg)
        self.action: str | Callable = on_budget
        if not (callable(on_budget) or on_budget in ACTIONS):
            warn(f"on_budget must be {', '.join(ACTIONS)} or a function; warn is used")
            self.action = "warn"
        self.is_over = False
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        return self.kwh is not None or self.kg is not None

    @property
    def stops(self) -> bool:
        """Whether `epochs()` begins no further epoch."""
        return self.is_over and self.action == "stop"

    def only_warns(self, where: str) -> None:
        """Only warn, where processes can't agree when to stop: one that stopped would leave the others waiting."""
        if self.action == "stop":
            warn(f"on_budget='stop' can't stop {where} together; warn is used")
            self.action = "warn"

    def check(self, run, summary) -> None:
        """Compare the figures so far with the budget. The action happens once, whichever thread sees it first."""
        if not (_above(summary.energy_kwh, self.kwh) or _above(summary.emissions_kg, self.kg)):
            return
        with self._lock:
            was_over, self.is_over = self.is_over, True
        if was_over:
            return
        used = f"{figures.energy(summary.energy_kwh)} and {figures.emissions(summary.emissions_kg)} CO2e used"
        if callable(self.action):
            self.action(run)
        elif run.rank:
            pass  # the first rank warns
        elif self.action == "stop":
            epoch = "current epoch" if job.size() == 1 else "next epoch"
            warn(f"over budget: {used}; epochs() ends after the {epoch}")
        else:
            warn(f"over budget: {used}")


def _bound(name: str, given) -> float | None:
    if given is None:
        return None
    bound = number(given)
    if bound is None or bound < 0:
        warn(f"{name} is ignored: must be a number of 0 or more")
        return None
    return bound


def _above(value: float, bound: float | None) -> bool:
    return bound is not None and value > bound
