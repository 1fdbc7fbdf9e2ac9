"""The cheapest run that is nearly as good as the best."""

from collections.abc import Iterable
from typing import NamedTuple

from runs.figures.run_links import RunLink
from runs.models import Run

#: The default tolerance: how far a run may be from the best value, in percent.
WITHIN_PERCENT = 2.0
OFFERED_PERCENT = (0.5, 1.0, 2.0, 5.0, 10.0)


class Cheapest(NamedTuple):
    """The completed run with the lowest emissions whose value is within `within_percent` of the best."""

    run: RunLink
    value: float
    best_run: RunLink
    best: float
    within_percent: float

    @property
    def saved_share(self) -> float:
        """The share of the best run's emissions that it saved."""
        return 1 - self.run.emissions_kg / self.best_run.emissions_kg if self.best_run.emissions_kg > 0 else 0.0


def cheapest(placed: Iterable[tuple[RunLink, float]], better: str, within_percent: float) -> Cheapest | None:
    """Return the cheapest of these runs with values; None if none completed. Ties for the best go to the cheaper."""
    done = [(run, value) for run, value in placed if run.status == Run.Status.COMPLETED]
    if not done:
        return None
    sign = 1 if better == "lower" else -1
    best_run, best = min(done, key=lambda each: (sign * each[1], each[0].emissions_kg))
    bound = abs(best) * within_percent / 100
    near = [(run, value) for run, value in done if abs(value - best) <= bound]
    run, value = min(near, key=lambda each: (each[0].emissions_kg, sign * each[1]))
    return Cheapest(run, value, best_run, best, within_percent)


def asked_percent(text: str) -> float:
    """Return the percentage that a reader entered, 0 to 100; the default for anything else."""
    try:
        percent = float(text)
    except ValueError:
        return WITHIN_PERCENT
    return percent if 0 <= percent <= 100 else WITHIN_PERCENT
