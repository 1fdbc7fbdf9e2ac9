"""Promise PA28: a signal's handler may come between any two steps of writing a record, and end the run or raise.

Schedulers send SIGTERM some time before they kill a job, and people end their runs in its handler (wandb 7590). What
was logged until then is in the file once, and the end is there, wherever the signal came.
"""

import itertools
import sys

import pytest

import traceml_agent
from traceml_agent.measuring import spooled
from traceml_agent.tracking import current

#: The modules whose lines a signal comes between.
RUN, JOURNAL, SPOOL = (f"traceml_agent/{name}.py" for name in ("tracking/run", "tracking/journal", "spool/file"))


class TimeIsUp(BaseException):
    """What no code of the agent expects."""


class Strikes:
    """Calls `strike` at one of the modules' lines that run inside the block, counted from 0."""

    def __init__(self, at: int, strike, *modules: str):
        self.at, self.strike, self.modules, self.count = at, strike, modules, 0

    @property
    def has_struck(self) -> bool:
        return self.count > self.at

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)

    def _trace(self, frame, event, argument):
        if not frame.f_code.co_filename.endswith(self.modules):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.at + 1:
                sys.settrace(None)
                frame.f_trace = None
                self.strike()
        return self._trace


def stop(run):
    run.stop("cancelled")


def stop_and_exit(run):
    run.stop("cancelled")
    raise TimeIsUp


def log(run):
    run.log(late=1, tokens=10)


def raise_only(run):
    raise TimeIsUp


@pytest.fixture
def start(tmp_path):
    """Starts a run, and waits for its sampler's first record, for which a strike would have to wait."""
    numbers = itertools.count()

    def started():
        run = traceml_agent.start("x", url="", spool_dir=str(tmp_path / str(next(numbers))), quiet=True)
        assert run._sampler._ready.wait(10)
        return run

    return started


def told_in(run):
    """What the file of an ended run has: its values by name, its stages, and the types of its records."""
    path = run._spool.path
    values: dict[str, list[float]] = {}
    for row in spooled.rows([path], "metrics"):
        values.setdefault(row["name"], []).append(row["value"])
    stages = [(row["name"], row["end_s"] is not None) for row in spooled.latest([path], "stages", "id")]
    return values, stages, len(list(spooled.bodies(path, "finish")))


@pytest.mark.parametrize("strike", [stop, stop_and_exit, log, raise_only])
def test_a_signal_amid_a_record_costs_no_value_no_stage_and_no_end(start, strike):
    at, has_struck = 0, True
    while has_struck:
        run = start()
        with run.stage("load"):
            run.log(loss=0.5, tokens=100)
        run.log(loss=0.25)
        try:
            with Strikes(at, lambda: strike(run), RUN, JOURNAL, SPOOL) as strikes:  # noqa: B023 (called in this turn)
                run._write()
        except TimeIsUp:
            pass
        run.stop()
        has_struck = strikes.has_struck
        values, *rest = told_in(run)
        late = has_struck and strike is log
        assert (values.pop("late", []), sum(values.pop("tokens"))) == ([1.0] * late, 100 + 10 * late), at
        assert (values, *rest) == ({"loss": [0.5, 0.25]}, [("load", True)], 1), at
        at += 1
    assert at > 50


@pytest.mark.parametrize("strike", [stop_and_exit, raise_only])
def test_a_signal_amid_the_end_of_a_run_leaves_it_to_the_end_of_the_process(start, strike):
    at, has_struck = 0, True
    while has_struck:
        run = start()
        run.log(loss=0.5, tokens=100)
        try:
            with Strikes(at, lambda: strike(run), RUN) as strikes:  # noqa: B023 (called in this turn)
                run.stop()
        except TimeIsUp:
            pass
        current.end_of_process()
        has_struck = strikes.has_struck
        values, _, ends = told_in(run)
        assert (values, ends > 0) == ({"loss": [0.5], "tokens": [100.0]}, True), at
        assert run.summary["work"]["tokens"]["count"] == 100, at
        at += 1
    assert at > 50
