"""`track` and `start`: where a run begins."""

from __future__ import annotations

import functools
import os
import sys

from traceml_agent import config, messages, metadata
from traceml_agent.budget import Budget
from traceml_agent.messages import guarded, warn
from traceml_agent.run import TRACKED, InertRun, Run, default_model, outcome


@guarded(InertRun)
def start(
    model=None,
    kind="training",
    name=None,
    tags=None,
    params=None,
    *,
    budget_kwh=None,
    budget_kg=None,
    on_budget="warn",
    **settings,
) -> Run:
    """Start a run and return it; call `stop()` at its end, or let the end of the process do so. Never raises.

    `model` is the model's name, the same over its whole life; `kind` is training, finetuning, evaluation, inference or
    other. With `budget_kwh` or `budget_kg` (CO2e), `on_budget` says what happens once more is used: `warn`, `stop` (no
    further epoch of `run.epochs()`), or a function of the run. `settings` are those of agent/README.md (url, token,
    spool_dir, interval …), over the environment's.
    """
    chosen = config.load(**settings)
    messages.raising |= chosen.strict
    if chosen.disabled or _is_tracked_already():
        return InertRun(metadata.text(model) if model is not None else default_model())
    budget = Budget(budget_kwh, budget_kg, on_budget)
    return Run(model, kind, name, tags, params, chosen, budget).begin()


def _is_tracked_already() -> bool:
    """Whether an ancestor's run measures this process with its own: a spawned worker, or a command under the agent."""
    pid, _, _ = os.environ.get(TRACKED, "").partition(":")
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    if not _is_ancestor(int(pid)):
        return False
    if "multiprocessing.spawn" not in sys.modules:
        warn("an outer process is tracked already and measures this one with it; no second run is started")
    return True


def _is_ancestor(pid: int) -> bool:
    """Whether `pid` is alive above this process."""
    from traceml_agent.sensors.processes import ancestors

    return pid in ancestors(os.getpid())


class track:
    """A run around a block or a function.

    As a context manager, `with track("resnet-50") as run:`; as a decorator, `@track("resnet-50")` or plainly `@track`,
    each call is a run of its own. Functions, coroutines, generators and async generators may be decorated. Takes what
    `start` takes. An exception ends the run as failed (KeyboardInterrupt as cancelled) and goes on its way untouched.
    """

    def __new__(cls, model=None, *args, **options):
        if callable(model) and not args and not options:  # plain `@track`
            return cls(_name(model))(model)
        return super().__new__(cls)

    def __init__(self, model=None, kind="training", name=None, tags=None, params=None, **settings):
        self._arguments = (model, kind, name, tags, params)
        self._options = settings
        self._runs: list[Run] = []

    def __enter__(self) -> Run:
        self._runs.append(start(*self._arguments, **self._options))
        return self._runs[-1]

    def __exit__(self, kind, error, traceback) -> None:
        if self._runs:
            self._runs.pop().stop(*outcome(kind, error))

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(self, kind, error, traceback) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function):
        """The function, each call of which is a run."""
        if self._arguments[0] is None:
            self._arguments = (_name(function), *self._arguments[1:])
        return functools.wraps(function)(_wrapper(function)(self._again, function))

    def _again(self) -> track:
        return track(*self._arguments, **self._options)


def _name(function) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _wrapper(function):
    """The kind of wrapper that behaves as the function does."""
    import inspect

    if inspect.iscoroutinefunction(function):
        return _coroutine
    if inspect.isasyncgenfunction(function):
        return _async_generator
    return _generator if inspect.isgeneratorfunction(function) else _plain


def _plain(again, function):
    def call(*args, **kwargs):
        with again():
            return function(*args, **kwargs)

    return call


def _coroutine(again, function):
    async def call(*args, **kwargs):
        with again():
            return await function(*args, **kwargs)

    return call


def _generator(again, function):
    def call(*args, **kwargs):
        with again():
            return (yield from function(*args, **kwargs))

    return call


def _async_generator(again, function):
    async def call(*args, **kwargs):
        with again():
            async for item in function(*args, **kwargs):
                yield item

    return call
