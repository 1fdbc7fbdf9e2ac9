"""LightGBM: a training is a run, with its parameters, the metrics of each round, and rounds as stages.

>>> from traceml_agent.integrations.lightgbm import TraceMLCallback
>>> lightgbm.train(params, data, valid_sets=[test], callbacks=[TraceMLCallback()])

Also for `lightgbm.cv`, and for estimators: `LGBMClassifier().fit(x, y, callbacks=[TraceMLCallback()])`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import lightgbm
from lightgbm.callback import CallbackEnv, EarlyStopException

from traceml_agent.integrations.boosting import Boosting, log_best, params_of
from traceml_agent.integrations.replacing import replace, with_callback
from traceml_agent.messages import guarded


class TraceMLCallback:
    """Measures each training that it is given to. It may be used again, copied and pickled.

    `options` are those of `traceml_agent.start`: model (its name, "LightGBM" without one), kind, tags, budgets … With
    `on_budget="stop"` the training stops after the round in which its budget is used up.
    """

    def __init__(self, model: str | None = None, **options):
        self._boosting = Boosting(({} if model is None else {"model": model}) | options)

    def __repr__(self) -> str:
        return f"TraceMLCallback({', '.join(f'{name}={value!r}' for name, value in self._boosting.options.items())})"

    def train(self, function: Callable, bound: inspect.BoundArguments):
        """Call `lightgbm.train` or `lightgbm.cv` with a run around it."""
        bound.arguments["callbacks"] = [*bound.arguments["callbacks"], _BeforeRound(self._boosting)]
        with self._boosting.training("LightGBM", params_of(bound)) as joined:
            trained = function(*bound.args, **bound.kwargs)
            if getattr(trained, "best_iteration", 0) > 0:
                log_best(joined, trained)
            return trained

    def __call__(self, env: CallbackEnv) -> None:
        """LightGBM calls this after each round."""
        self._log(env)
        self._boosting.end_round(env.iteration - env.begin_iteration + 1)
        if self._boosting.joined.stops():
            raise EarlyStopException(env.iteration, env.evaluation_result_list or [])

    @guarded()
    def _log(self, env: CallbackEnv) -> None:
        for data, metric, value, _, *spread in map(tuple, env.evaluation_result_list or ()):
            name = f"{data}-{metric}"
            self._boosting.joined.log({f"{name}-mean": value, f"{name}-std": spread[0]} if spread else {name: value})


class _BeforeRound:
    """LightGBM calls one object either before or after each round, so this one is added."""

    before_iteration, order = True, 0

    def __init__(self, boosting: Boosting):
        self._boosting = boosting

    @guarded()
    def __call__(self, env: CallbackEnv) -> None:
        if env.iteration == env.begin_iteration:
            self._boosting.plan(env.end_iteration - env.begin_iteration)
        self._boosting.begin_round(env.iteration - env.begin_iteration + 1)


for each in (lightgbm.train, lightgbm.cv):
    replace(each, with_callback(each, TraceMLCallback, TraceMLCallback.train))
