"""Reports a run to the loggers that its user has already: `track("resnet-50", report_to=["mlflow", "wandb"])`.

There is one way for all of them. A logger is named, and then means the run, experiment or registry that is active in
the code being measured, or it is given as an object, such as a `SummaryWriter`. Loggers of experiments are told by
threads of ours, since their calls may wait for a server; monitoring systems read the run when they ask.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from traceml_agent.host.bell import Bell
from traceml_agent.measuring.summary import Record
from traceml_agent.messages import guarded, let_handlers_through, warn
from traceml_agent.tracking.interface import RunInterface

#: The module for each name, and for the package that an object's class comes from.
NAMES = ("mlflow", "wandb", "comet", "opentelemetry", "prometheus")
PACKAGES = dict(zip(NAMES, NAMES, strict=True)) | {"comet_ml": "comet", "prometheus_client": "prometheus"}
#: Figures are reported this share of the run's age apart, within these seconds, and when an epoch begins.
SHARE_OF_AGE, LEAST_S, MOST_S = 1 / 10, 1.0, 15.0
#: The most that the end of a run waits for its loggers, in seconds. One that has been silent for so long is not waited
#: for at all.
END_S = 2.0
#: Runs that a monitoring system can still read after their end.
ENDED_RUNS = 20


def report(run: RunInterface, loggers: Iterable) -> None:
    """Report a run to each of the loggers, once. An unknown one is left out with a warning. Never raises."""
    if not run or run.rank:  # the first rank has the figures of all
        return
    for logger in loggers:
        key = logger if isinstance(logger, str) else id(logger)
        if key not in run.loggers:
            run.loggers |= {key}
            _report(run, logger)


@guarded()
def _report(run: RunInterface, logger) -> None:
    name = _name(logger)
    if name is None:
        known = f"{', '.join(NAMES)}, a path ending in .prom, a function, or an object of these packages"
        warn(f"report_to: {logger!r:.100} is ignored. It must be one of {known}.")
    elif name == "function":
        Report(run, getattr(logger, "__name__", name), lambda: Function(logger))
    else:
        try:
            module = importlib.import_module(f"traceml_agent.integrations.{name}")
            module.report(run, None if logger == name else logger)
        except ImportError as error:
            if journal := run.journal():
                journal.left_out.note(f"the reports to {name}", f"{error.name} is not installed")


def _name(logger) -> str | None:
    """The name of a logger's module here; None if it has none."""
    if isinstance(logger, (str, os.PathLike)):
        word = os.fspath(logger)
        return word if word in NAMES else "prometheus" if word.endswith(".prom") else None
    packages = (each.__module__.partition(".")[0] for each in type(logger).__mro__)
    if found := next((PACKAGES[package] for package in packages if package in PACKAGES), None):
        return found
    if hasattr(logger, "add_scalar"):  # of PyTorch, tensorboardX, Lightning …
        return "tensorboard"
    return "function" if callable(logger) else None


def figures(summary: Record, energy_kwh: float = 0.0, duration_s: float = 0.0, whole: bool = False) -> dict[str, float]:
    """A run's figures by the names that every logger gets; docs/integrations/loggers.md lists them with their units.

    Power is the mean since a report of `energy_kwh` at `duration_s`. The range comes with the whole run's figures.
    """
    names = ["energy_kwh", "emissions_kg", "duration_s", "measured_share"]
    names += ["energy_low_kwh", "energy_high_kwh"] if whole else []
    found = {f"traceml/{name}": float(summary[name]) for name in names}
    passed_s = summary.duration_s - duration_s
    if passed_s > 0:
        found["traceml/power_w"] = max(summary.energy_kwh - energy_kwh, 0.0) * 3.6e6 / passed_s
    return found


class Destination(Protocol):
    """A run, experiment or file of a logger. Its calls may wait and raise."""

    @property
    def is_over(self) -> bool:
        """Whether it takes nothing more."""

    def begin(self, labels: dict[str, str], now: Callable[[], None]) -> None:
        """Take the run's id and URL. A destination that ends first may call `now` to get the figures so far."""

    def log(self, figures: dict[str, float]) -> None:
        """Take the figures so far."""

    def end(self, figures: dict[str, float]) -> None:
        """Take the figures of the whole run."""


class Report:
    """Reports one run to one logger, in a thread of its own that begins once `find` gives the logger's destination.

    `find` must neither wait nor raise: it is called in the training's threads, as what is active may depend on them.
    """

    def __init__(self, run: RunInterface, name: str, find: Callable[[], Destination | None]):
        self._run, self._name, self._find = run, name, find
        journal = run.journal()
        self._left_out = journal.left_out if journal else None
        self._pid = os.getpid()
        self._looking = threading.Lock()
        self._destination: Destination | None = None
        self._summary: Record | None = None  # of the whole run, once it has ended
        self._before = (0.0, 0.0)
        self._called_at: float | None = None  # when the call in progress began
        self._asked_at = 0.0  # since when the last report is waited for
        self._has_failed = False
        self._news, self._over, self._done = Bell(), Bell(), threading.Event()
        run.reports = [*run.reports, self]
        self.hear()

    def hear(self) -> None:
        """Look for the destination, or report soon: called in the training's threads when it tells the run something.

        A forked child reports nothing, since its parent does.
        """
        if os.getpid() != self._pid or self._done.is_set():
            return
        if self._destination is not None:
            self._news.ring()
        elif self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()

    @guarded()
    def _look(self) -> None:
        if self._destination is None:
            self._destination = self._find()
            if self._destination is not None:
                name = f"traceml-{self._name}"
                threading.Thread(target=self._work, args=(self._destination,), name=name, daemon=True).start()

    def _work(self, destination: Destination) -> None:
        labels = {"traceml/run_id": self._run.run_id} | ({"traceml/url": self._run.url} if self._run.url else {})
        self._call(destination, destination.begin, labels, lambda: self._now(destination))
        began_at = time.monotonic()
        while self._summary is None and not destination.is_over:
            if self._news.wait(min(max((time.monotonic() - began_at) * SHARE_OF_AGE, LEAST_S), MOST_S)):
                self._over.wait(LEAST_S)  # there may be much news
            if self._summary is None:
                self._now(destination)
        if self._summary is not None and not destination.is_over:
            self._call(destination, destination.end, figures(self._summary, whole=True))
        self._done.set()

    def _now(self, destination: Destination) -> None:
        if destination.is_over or self._done.is_set():
            return
        summary = self._run.summary
        self._call(destination, destination.log, figures(summary, *self._before))
        self._before = (summary.energy_kwh, summary.duration_s)

    def _call(self, destination: Destination, call: Callable, *arguments) -> None:
        """A call of the logger. What it raises is counted among what the run did not keep."""
        self._called_at = time.monotonic()
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 (a logger may raise anything; the training goes on)
            let_handlers_through(error)
            if destination.is_over:  # since this moment: the training ended it
                return
            if not self._has_failed:  # the words stay here: they may tell of servers, and differ each time
                warn(f"a report to {self._name} failed ({type(error).__name__}: {error})")
            self._has_failed = True
            self._miss(type(error).__name__)
        finally:
            self._called_at = None

    def _miss(self, reason: str) -> None:
        if self._left_out is not None:
            self._left_out.note(f"a report to {self._name}", reason)

    @guarded()
    def end(self, summary: Record) -> None:
        """Begin to report the whole run."""
        self.hear()
        self._asked_at = self._called_at or time.monotonic()
        self._summary = summary
        self._over.ring()
        self._news.ring()

    @guarded()
    def wait(self) -> None:
        """Wait a moment for this report, since the training may close its logger next."""
        if self._destination is None:
            self._miss("no run or experiment of it was active")
        elif not self._done.wait(max(END_S - (time.monotonic() - self._asked_at), 0.0)):
            self._miss("it did not answer in time")


class Function:
    """A function of the user's, which takes the figures as a dictionary: for any other logger."""

    is_over = False

    def __init__(self, function: Callable):
        self.log = self.end = function

    def begin(self, labels: dict, now: Callable) -> None:
        """The function takes figures alone."""


class Exposed:
    """The runs that a monitoring system can read: those in progress, and the last ones that ended.

    A counter that vanished before it was read would be lost.
    """

    def __init__(self) -> None:
        self._runs: list[RunInterface] = []
        self._lock = threading.Lock()

    def add(self, run: RunInterface) -> None:
        with self._lock:
            ended = [each for each in self._runs if not each.is_open]
            self._runs = [each for each in self._runs if each not in ended[:-ENDED_RUNS]] + [run]

    def __iter__(self) -> Iterator[RunInterface]:
        return iter(self._runs)
