"""Ray: `Tuner(tracked(train))` and `TorchTrainer(tracked(train))`, which measure where the work is done.

This is no callback, since Ray calls its callbacks in the driver: they can neither measure a worker, which may be on
another machine, nor add to what a trial reports.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ray.train
import ray.tune

from traceml_agent.host import job
from traceml_agent.integrations.joining import Joined
from traceml_agent.messages import guarded


def tracked(function: Callable, model: str | None = None, **options) -> Callable:
    """The training function of a Tuner or a Trainer, with a run around each trial or training.

    What the function reports is logged, and gets `energy_kwh` and `emissions_kg` (CO2e) of the run so far, for the
    results of Ray. Other arguments are those of `traceml_agent.start`; the model is named after the function if no name
    is given.
    """

    @functools.wraps(function)
    def train(*args, **kwargs):
        with Joined({"model": model} | options) as joined:
            _begin(joined, function.__name__, args[0] if args else {})
            with _reporting(joined, function):
                return function(*args, **kwargs)

    return train


@guarded()
def _begin(joined: Joined, name: str, config) -> None:
    """Begin the run of this trial, or of the training that this is a worker of; a restored one continues its run."""
    if worker := _worker():
        job.know(
            worker.get_world_rank(), worker.get_world_size(), worker.get_local_rank(), worker.get_local_world_size()
        )
        joined.continue_run(f"ray/{worker.get_experiment_name()}")
    elif (trial := ray.tune.get_context()).get_trial_id():
        joined.continue_run(f"ray/{trial.get_experiment_name()}/{trial.get_trial_id()}")
        joined.options = {"name": trial.get_trial_name()} | joined.options
    joined.begin(name, params=config if isinstance(config, Mapping) else None)


def _worker() -> Any:
    """Ray Train's context of a worker; None in a trial, for which it raises or knows no ranks, depending on version."""
    try:
        context = ray.train.get_context()
        return context if context.get_world_size() else None
    except (RuntimeError, DeprecationWarning):
        return None


@contextlib.contextmanager
def _reporting(joined: Joined, function: Callable) -> Iterator[None]:
    """Hear what the function reports, whether it has imported Ray's `report` or the module."""
    places = [vars(ray.train), vars(ray.tune), getattr(function, "__globals__", {})]
    former = [
        (place, name, report)
        for place in places
        for name, value in place.items()
        for report in (ray.train.report, ray.tune.report)
        if value is report
    ]
    heard = {report: _Report(joined, report) for _, _, report in former}
    for place, name, report in former:
        place[name] = heard[report]
    try:
        yield
    finally:
        for place, name, report in former:
            place[name] = report


class _Report:
    """Ray's `report`, which tells the run too: each report ends an iteration, which is a stage."""

    def __init__(self, joined: Joined, report: Callable):
        self._joined, self._report = joined, report
        self._began_at, self._count = time.monotonic(), 0

    def __call__(self, metrics, *args, **kwargs):
        return self._report(self._added(metrics) or metrics, *args, **kwargs)

    @guarded()
    def _added(self, metrics: Mapping) -> dict:
        now = time.monotonic()
        self._count += 1
        self._joined.place(f"iteration {self._count}", self._began_at, now, metrics)
        self._began_at = now
        summary = self._joined.run.summary if self._joined.run is not None else {}
        return dict(metrics) | {name: summary[name] for name in ("energy_kwh", "emissions_kg") if name in summary}
