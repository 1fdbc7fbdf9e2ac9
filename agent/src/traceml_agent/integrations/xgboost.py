"""XGBoost: a training is a run, with its parameters, the metrics of each round, and rounds as stages.

>>> from traceml_agent.integrations.xgboost import TraceMLCallback
>>> xgboost.train(params, data, evals=[(test, "test")], callbacks=[TraceMLCallback()])

Also for `xgboost.cv`, and for estimators: `XGBClassifier(callbacks=[TraceMLCallback()])`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import xgboost
from xgboost.callback import TrainingCallback

from traceml_agent.integrations.boosting import Boosting, log_best, params_of
from traceml_agent.integrations.replacing import replace, with_callback
from traceml_agent.messages import guarded


class TraceMLCallback(TrainingCallback):
    """Measures each training that it is given to. It may be used again, copied and pickled.

    `options` are those of `traceml_agent.start`: model (its name, "XGBoost" without one), kind, tags, budgets … With
    `on_budget="stop"` the training stops after the round in which its budget is used up.
    """

    def __init__(self, model: str | None = None, **options):
        super().__init__()
        self._boosting = Boosting(({} if model is None else {"model": model}) | options)
        self._history: dict = {}
        self._logged = 0

    def __repr__(self) -> str:
        return f"TraceMLCallback({', '.join(f'{name}={value!r}' for name, value in self._boosting.options.items())})"

    def train(self, function: Callable, bound: inspect.BoundArguments):
        """Call `xgboost.train` or `xgboost.cv` with a run around it."""
        self._history, self._logged = {}, 0
        with self._boosting.training("XGBoost", params_of(bound)) as joined:
            self._boosting.plan(bound.arguments["num_boost_round"])
            trained = function(*bound.args, **bound.kwargs)
            self._log()  # a callback that stops the training keeps later ones from hearing of the round
            log_best(joined, trained)
            return trained

    def before_iteration(self, model, epoch: int, evals_log: dict) -> bool:
        self._history = evals_log
        self._boosting.begin_round(epoch + 1)
        return False

    def after_iteration(self, model, epoch: int, evals_log: dict) -> bool:
        self._log()
        self._boosting.end_round(epoch + 1)
        return self._boosting.joined.stops()

    @guarded()
    def _log(self) -> None:
        """Log what has been added to XGBoost's history, by the names that it prints."""
        rounds = max((len(values) for of_data in self._history.values() for values in of_data.values()), default=0)
        for number in range(self._logged, rounds):
            for data, of_data in self._history.items():
                for metric, values in of_data.items():
                    self._boosting.joined.log(_named(f"{data}-{metric}", values[number]))
        self._logged = rounds


def _named(name: str, value) -> dict:
    """A value by its name; in a cross-validation, where there are two, by two."""
    return {f"{name}-mean": value[0], f"{name}-std": value[1]} if isinstance(value, tuple) else {name: value}


for each in (xgboost.train, xgboost.cv):
    replace(each, with_callback(each, TraceMLCallback, TraceMLCallback.train))
