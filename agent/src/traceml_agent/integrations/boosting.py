"""What the callbacks of XGBoost and LightGBM share: a run for each call of `train` and `cv`, and rounds as stages.

Neither package tells a callback how a training ends: by an early stop, an error or an interrupt. So the functions that
train are wrapped, wherever they have been imported to. Without a callback of ours they do what they did.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import contextmanager

from traceml_agent.integrations.joining import Joined
from traceml_agent.messages import guarded

#: Rounds take milliseconds, and a training may have thousands: as many blocks of equal length are its stages.
MOST_BLOCKS = 100


class Boosting:
    """The rounds of one training after another. A copy or a pickle has the options, and no run."""

    def __init__(self, options: Mapping):
        self.joined = Joined(options)
        self.options = self.joined.options
        self._total = self._size = 0
        self._is_open = False

    def __reduce__(self):
        return Boosting, (self.options,)

    @contextmanager
    def training(self, model: str, params: Mapping):
        """A training: `params` are its parameters. Gives the run."""
        self._size, self._is_open = 0, False
        with self.joined as joined:  # whose end closes a block that is open
            joined.begin(model, params=params)
            yield joined

    @guarded()
    def plan(self, rounds: int) -> None:
        """Say how many rounds there will be."""
        if rounds <= 0:
            return
        self._total, self._size = rounds, -(-rounds // MOST_BLOCKS)
        self.joined.plan_epochs(-(-rounds // self._size), "round" if self._size == 1 else "block")

    @guarded()
    def begin_round(self, number: int) -> None:
        """Begin a round by its number, from 1."""
        if self._size and not self._is_open:
            last = min(number + self._size - 1, self._total)
            note = f"rounds {number}–{last}" if self._size > 1 else ""
            self.joined.begin_epoch(-(-number // self._size), note)
            self._is_open = True

    @guarded()
    def end_round(self, number: int) -> None:
        """End a round by its number, from 1."""
        if self._is_open and (number % self._size == 0 or number == self._total):
            self.joined.end_epoch()
            self._is_open = False


@guarded(dict)
def params_of(bound: inspect.BoundArguments) -> dict:
    """The parameters of a training: those of the model, and the plain ones of the function."""
    plain = {name: value for name, value in bound.arguments.items() if isinstance(value, (bool, int, float, str))}
    given = dict(bound.arguments.get("params") or {}) | plain
    return {name: value for name, value in given.items() if value is not None}  # None: the package's own default


@guarded()
def log_best(joined: Joined, trained) -> None:
    """Log the best round, which an early stop left behind."""
    best = getattr(trained, "best_iteration", None)
    score = getattr(trained, "best_score", None)
    if isinstance(best, int):
        joined.log({"best_iteration": best} | ({"best_score": score} if isinstance(score, float) else {}))
