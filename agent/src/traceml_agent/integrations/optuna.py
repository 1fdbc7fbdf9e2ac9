"""Optuna: a study's optimisation is a run, and each trial a stage with its parameters, its value and its energy.

>>> from traceml_agent.integrations.optuna import TraceMLCallback
>>> study.optimize(objective, n_trials=100, callbacks=[TraceMLCallback()])

Each trial gets the user attribute `energy_kwh`. To make energy an objective, return `energy_kwh(trial)` too.
"""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable

import optuna

from traceml_agent.integrations.joining import Joined
from traceml_agent.integrations.notes import noted
from traceml_agent.integrations.replacing import with_callback
from traceml_agent.messages import guarded, warn
from traceml_agent.tracking.stages import NoStage, Stage

#: The trials in progress, each with what measures it.
_measured: weakref.WeakKeyDictionary[optuna.Trial, _Trials] = weakref.WeakKeyDictionary()


class TraceMLCallback:
    """Measures each `study.optimize` that it is given to.

    `options` are those of `traceml_agent.start`: model (the study's name without one), kind, tags, budgets … With
    `on_budget="stop"` the study stops after the trial in which its budget is used up.
    """

    def __init__(self, model: str | None = None, **options):
        self._options = ({} if model is None else {"model": model}) | options

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Optuna calls this after a trial, when nothing can be added to it any more."""

    def optimize(self, function: Callable, bound: inspect.BoundArguments) -> None:
        """Call `Study.optimize` with a run around it, and a stage around each trial."""
        study, objective = bound.arguments["self"], bound.arguments["func"]
        with Joined(self._options) as joined:
            joined.begin(_name(study), params=_params(bound))
            trials = _Trials(study, joined, bound.arguments["n_trials"])
            bound.arguments["func"] = lambda trial: trials.call(objective, trial)
            function(*bound.args, **bound.kwargs)
            _log_best(joined, study)


@guarded(0.0)
def energy_kwh(trial: optuna.Trial) -> float:
    """Energy of a trial in progress so far, in kWh: an objective to minimise beside the loss.

    0 for a trial that is not measured, as without `TraceMLCallback`.
    """
    if isinstance(trial, optuna.Trial) and (trials := _measured.get(trial)):
        return trials.energy_kwh(trial)
    warn("energy_kwh(trial) is 0 without TraceMLCallback among the callbacks of study.optimize")
    return 0.0


class _Trials:
    """The trials of one optimisation, and the joules of each.

    Trials of several threads (`n_jobs`) share the hardware. What is used at any time is divided equally among the
    trials in progress, so the energies of all trials add up to that of the study.
    """

    def __init__(self, study: optuna.Study, joined: Joined, total: int | None):
        self._study, self._joined, self._total = study, joined, total
        self._lock, self._until_j = threading.Lock(), 0.0
        self._joules: dict[int, float] = {}
        self._stages: dict[int, Stage | NoStage] = {}

    def call(self, objective: Callable, trial: optuna.Trial):
        """Call the objective with a trial, in a stage."""
        self._begin(trial)
        try:
            result = objective(trial)
        except BaseException as error:
            self._end(trial, [], "pruned" if isinstance(error, optuna.TrialPruned) else "failed")
            raise
        self._end(trial, result)
        return result

    @guarded()
    def _begin(self, trial: optuna.Trial) -> None:
        self._divide()
        with self._lock:
            self._joules[trial.number] = 0.0
        _measured[trial] = self
        self._stages[trial.number] = self._joined.stage(f"trial {trial.number}", self._total)
        self._stages[trial.number].__enter__()

    @guarded()
    def _end(self, trial: optuna.Trial, result, state: str = "") -> None:
        stage, energy_kwh = self._stages.pop(trial.number), self.energy_kwh(trial)
        try:
            values = dict(zip(self._names(), result if isinstance(result, (list, tuple)) else [result], strict=False))
            self._joined.log({name: value for name, value in values.items() if value is not None})
            self._joined.log({"trial_energy_kwh": energy_kwh})
            stage.rename(noted(f"trial {trial.number}", trial.params | values, [state] if state else []))
        finally:
            stage.__exit__()
            with self._lock:
                self._joules.pop(trial.number)
        trial.set_user_attr("energy_kwh", energy_kwh)
        if self._joined.stops():
            self._study.stop()

    def energy_kwh(self, trial: optuna.Trial) -> float:
        """Energy of a trial so far, in kWh."""
        self._divide()
        return self._joules.get(trial.number, 0.0) / 3.6e6

    def _divide(self) -> None:
        """Divide the joules since the last time among the trials in progress."""
        with self._lock:
            until_j = self._joined.energy_j()
            for number in self._joules:
                self._joules[number] += max(until_j - self._until_j, 0.0) / len(self._joules)
            self._until_j = until_j

    def _names(self) -> list[str]:
        """What the study's values are called."""
        count = len(self._study.directions)
        return self._study.metric_names or (["value"] if count == 1 else [f"value_{n}" for n in range(count)])


@guarded("Optuna")
def _name(study: optuna.Study) -> str:
    return "Optuna" if study.study_name.startswith("no-name-") else study.study_name


@guarded(dict)
def _params(bound: inspect.BoundArguments) -> dict:
    study, given = bound.arguments["self"], bound.arguments
    return {
        "study": study.study_name,
        "directions": ", ".join(direction.name.lower() for direction in study.directions),
        "sampler": type(study.sampler).__name__,
        "pruner": type(study.pruner).__name__,
        "trials_before": len(study.get_trials(deepcopy=False)),
    } | {name: given[name] for name in ("n_trials", "timeout", "n_jobs") if given[name] is not None}


@guarded()
def _log_best(joined: Joined, study: optuna.Study) -> None:
    """Log the best value of a study with one objective, and its parameters."""
    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(study.directions) == 1 and finished:
        joined.log({"best_value": study.best_value})
        joined.log_params({f"best_{name}": value for name, value in study.best_params.items()})


optuna.Study.optimize = with_callback(optuna.Study.optimize, TraceMLCallback, TraceMLCallback.optimize)
