"""`autolog()`: each MLflow run of this process becomes a run of TraceML, with MLflow's parameters and metrics.

MLflow's own autologging, its fluent calls, its asynchronous queue and the callbacks of other packages all pass through
a few methods of `MlflowClient`, so these are where parameters and metrics are taken from. Only `mlflow.start_run` makes
an `ActiveRun`: a run that a client merely records, such as a candidate of a search that is over, was never in progress.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable

from traceml_agent.inputs.config import Loggers
from traceml_agent.messages import guarded, warn
from traceml_agent.track import current_run, start
from traceml_agent.tracking.interface import RunInterface

PARENT, NAME = "mlflow.parentRunId", "mlflow.runName"
#: Metrics that say nothing about the model: MLflow's of the system, and those that TraceML reported there.
NOT_TAKEN = ("system/", "traceml/")
#: How a run ends for MLflow's states. All others are failures.
STATUSES = {"FINISHED": "completed", "KILLED": "cancelled"}

#: The arguments of `start` for runs that begin; None while nothing is taken.
_options: dict | None = None
#: The MLflow runs in progress, by their ids.
_active: dict[str, Active] = {}
_experiments: dict[str, str] = {}


@guarded()
def autolog(disable: bool = False, **options) -> None:
    """Make a run of each MLflow run that begins from now on, by MLflow's autologging or by hand. Safe to repeat.

    The run takes MLflow's parameters and metrics, and ends when the MLflow run does, with its status. `options` are the
    arguments of `start`; the model is MLflow's experiment, or the script for the default one. Within a run in progress,
    such as the block of a `track`, parameters and metrics go there, and a nested MLflow run is a stage of its parent's.
    `disable=True` takes no further runs.
    """
    global _options
    if disable:
        _options = None
        return
    try:
        from mlflow import MlflowClient
        from mlflow.tracking.fluent import ActiveRun
    except ImportError:
        warn("autolog needs MLflow, which is not installed")
        return
    _options = options
    _hook(MlflowClient, "log_param", _on_param)
    _hook(MlflowClient, "log_metric", _on_metric)
    _hook(MlflowClient, "log_batch", _on_batch)
    _hook(MlflowClient, "set_terminated", _on_end)
    _hook(ActiveRun, "__init__", _on_begin)


def _hook(owner: type, name: str, hook: Callable) -> None:
    """Call `hook` with the arguments of each call of a method, once, however often it is asked for.

    It comes first, so that a run has ended before MLflow's server is asked, except where the method makes the object.
    """
    method = getattr(owner, name)
    if hasattr(method, "traceml_hook"):
        return

    @functools.wraps(method)
    def call(*args, **kwargs):
        if name != "__init__":
            hook(*args, **kwargs)
        result = method(*args, **kwargs)
        if name == "__init__":
            hook(*args, **kwargs)
        return result

    call.traceml_hook = hook  # type: ignore[attr-defined]
    setattr(owner, name, call)


@guarded()
def _on_begin(mlflow_run, *others, **named) -> None:
    if _options is None:
        return
    tags = mlflow_run.data.tags
    run_id, parent = mlflow_run.info.run_id, _active.get(tags.get(PARENT))
    outer = parent.run if parent else current_run()
    # A run that another thread's MLflow run began is not around this one.
    is_own = not outer or (parent is None and any(each.is_own and each.run is outer for each in _active.values()))
    if is_own:
        model = _options.get("model") or _experiment(mlflow_run.info.experiment_id)
        # It will be active only in a moment.
        loggers = [mlflow_run if logger == "mlflow" else logger for logger in Loggers.of(_options.get("report_to", []))]
        more = {"model": model} | ({"report_to": loggers} if loggers else {})
        outer = start(**{"name": tags.get(NAME)} | _options | more)
        outer.log_params({"mlflow.run_id": run_id})
    _active[run_id] = Active(outer, is_own, tags.get(NAME, "mlflow run") if parent else None)


def _experiment(experiment_id: str) -> str | None:
    """The experiment's name, which MLflow's server has just been asked for too; None for the default experiment."""
    if experiment_id == "0":
        return None
    if experiment_id not in _experiments:
        import mlflow

        _experiments[experiment_id] = mlflow.get_experiment(experiment_id).name
    return _experiments[experiment_id]


@guarded()
def _on_param(client, run_id, key, value, *others, **named) -> None:
    if active := _active.get(run_id):
        active.log_params({key: value})


@guarded()
def _on_metric(client, run_id, key, value, *others, **named) -> None:
    if active := _active.get(run_id):
        active.log({(key, None): value})


@guarded()
def _on_batch(client, run_id, metrics=(), params=(), *others, **named) -> None:
    if active := _active.get(run_id):
        active.log_params({param.key: param.value for param in params})
        # MLflow stores a metric again for each model that the run has logged.
        active.log({(metric.key, metric.step): metric.value for metric in metrics})


@guarded()
def _on_end(client, run_id, status=None, *others, **named) -> None:
    if active := _active.pop(run_id, None):
        active.end(status or "FINISHED")


class Active:
    """An MLflow run in progress, and the run of TraceML that it reports to; `stage` is the name of a nested one."""

    def __init__(self, run: RunInterface, is_own: bool, stage: str | None):
        self.run, self.is_own = run, is_own
        self._stage = run.stage(stage) if stage else None
        if self._stage is not None:
            self._stage.__enter__()

    def log(self, metrics: dict[tuple, float]) -> None:
        """Log values by name and step."""
        for (name, _), value in metrics.items():
            if not name.startswith(NOT_TAKEN):
                self.run.log({name: value})

    def log_params(self, params: dict) -> None:
        """Add parameters; those of a nested run would replace its parent's."""
        if params and self._stage is None:
            self.run.log_params({name: _value(value) for name, value in params.items()})

    def end(self, status: str) -> None:
        """End the run if it is MLflow's own: by MLflow's status, or by the exception that it ends for."""
        if self._stage is not None:
            self._stage.__exit__()
        error = sys.exc_info()
        if self.is_own and status not in STATUSES and error[0] is not None:
            self.run.__exit__(*error)
        elif self.is_own:
            self.run.stop(STATUSES.get(status, "failed"))


def _value(given):
    """A parameter's value: a number where MLflow made a text of one."""
    try:
        found = json.loads(given)
    except (TypeError, ValueError):
        return given
    return found if type(found) in (int, float) else given
