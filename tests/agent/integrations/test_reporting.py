"""A run's reports to a user's loggers, with functions as loggers; tests/integrations has those with the real ones."""

import copy
import dataclasses
import functools
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from traceml_agent import track
from traceml_agent.integrations import reporting
from traceml_agent.integrations.joining import Joined


@pytest.fixture(autouse=True)
def alone(home, monkeypatch):
    """No portal, and no line on stderr."""
    monkeypatch.setenv("TRACEML_AGENT_QUIET", "1")


def test_a_function_gets_the_figures_of_the_summary_at_the_end():
    got = []
    with track("digits", report_to=got.append) as run:
        sum(range(10**6))
    last, summary = got[-1], run.summary
    names = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "duration_s", "measured_share")
    assert {name: last[f"traceml/{name}"] for name in names} == {name: summary[name] for name in names}
    assert last["traceml/power_w"] == pytest.approx(summary.energy_kwh * 3.6e6 / summary.duration_s)


def test_it_gets_figures_while_the_run_is_in_progress(monkeypatch):
    monkeypatch.setattr(reporting, "LEAST_S", 0.05)
    got, two = [], threading.Event()

    def take(figures):
        got.append(figures["traceml/duration_s"])
        if len(got) == 2:
            two.set()

    with track("digits", report_to=take):
        assert two.wait(10)
    assert got == sorted(got)


def test_loggers_are_named_by_the_environment_too(tmp_path, monkeypatch):
    paths = [tmp_path / "one.prom", tmp_path / "two.prom"]
    monkeypatch.setenv("TRACEML_AGENT_REPORT_TO", f"{paths[0]}, {paths[1]}")
    with track("digits"):
        pass
    assert all("traceml_run_info{" in path.read_text() for path in paths)


def test_an_unknown_logger_is_a_warning_and_the_others_get_their_figures(caplog):
    got = []
    with track("digits", report_to=["mlfow", 4, got.append]) as run:
        pass
    assert got
    assert run.summary.left_out == []
    assert "report_to: 'mlfow' is ignored. It must be one of mlflow, wandb" in caplog.text
    assert "report_to: 4 is ignored" in caplog.text


def test_what_a_logger_raises_is_counted_and_the_others_get_their_figures(caplog):
    def fail(figures):
        raise ConnectionError("no route")

    got = []
    with track("digits", report_to=[fail, got.append]) as run:
        pass
    assert got
    assert run.summary.left_out == [{"what": "a report to fail", "reason": "ConnectionError", "count": 1}]
    assert "a report to fail failed (ConnectionError: no route)" in caplog.text


def test_a_logger_that_hangs_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(reporting, "END_S", 0.1)
    answers = threading.Event()

    def hang(figures):
        answers.wait(60)

    with track("digits", report_to=hang) as run:
        pass
    assert run.summary.left_out == [{"what": "a report to hang", "reason": "it did not answer in time", "count": 1}]
    answers.set()


def test_a_run_that_is_disabled_reports_nothing():
    got = []
    with track("digits", report_to=got.append, disabled=True):
        pass
    assert got == []


def test_only_the_first_rank_reports(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    got = []
    with track("digits", report_to=got.append):
        pass
    assert got == []


def test_a_forked_child_reports_nothing(tmp_path):
    asked = tmp_path / "asked"

    def take(figures):
        with asked.open("a") as file:
            file.write(f"{os.getpid()}\n")

    with track("digits", report_to=take) as run:
        if not os.fork():
            run.log(loss=0.5)
            run.stop()
            os._exit(0)
        os.wait()
    assert set(asked.read_text().split()) == {str(os.getpid())}


def test_what_prometheus_reads_of_ended_runs_is_limited(monkeypatch):
    monkeypatch.setattr(reporting, "ENDED_RUNS", 2)
    exposed = reporting.Exposed()
    for number in range(4):
        with track(f"model {number}") as run:
            exposed.add(run)
    with track("in progress") as run:
        exposed.add(run)
        assert [each.model for each in exposed] == ["model 2", "model 3", "in progress"]


def test_without_loggers_no_module_of_the_integrations_is_loaded():
    code = """
import sys, traceml_agent
with traceml_agent.track("digits") as run:
    run.log(loss=0.5)
print([name for name in sys.modules if "integrations." in name])
"""
    source = Path(reporting.__file__).parents[2]
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, env=os.environ | {"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_figures_are_reported_when_a_stage_begins(monkeypatch):
    monkeypatch.setattr(reporting, "LEAST_S", 0.01)
    monkeypatch.setattr(reporting, "SHARE_OF_AGE", 1e9)
    monkeypatch.setattr(reporting, "MOST_S", 1e6)
    got = []
    with track("digits", report_to=got.append) as run:
        for _ in run.epochs(range(3)):
            before = len(got)
            deadline = time.monotonic() + 10
            run.stage("part")
            while len(got) == before and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(got) > before


def test_a_logger_that_is_named_twice_gets_its_figures_once(tmp_path):
    path, got = str(tmp_path / "job.prom"), []
    with track("digits", report_to=[path, got.append]) as run:
        joined = Joined({"report_to": [path]})
        joined.begin("another")
        joined.end()
    assert Path(path).read_text().count("traceml_run_info{") == 1
    assert len(run.reports) == 2


def test_the_loggers_of_a_callback_get_the_figures_of_the_run_that_it_joins():
    got = []
    with track("digits") as run:
        joined = Joined({"report_to": got.append})
        joined.begin("another")
        joined.end()
    assert got[-1]["traceml/energy_kwh"] == run.summary.energy_kwh


def test_a_callback_and_a_track_are_copied_with_their_loggers_and_pickled_with_the_names_of_them():
    lock = threading.Lock()  # a writer has one, and can't be pickled
    lock_user = functools.partial(print, lock)
    joined = Joined({"model": "digits", "report_to": [lock_user, "mlflow"]})
    assert copy.deepcopy(joined).options["report_to"] == [lock_user, "mlflow"]
    assert pickle.loads(pickle.dumps(joined)).options == {"model": "digits", "report_to": ["mlflow"]}
    # Hugging Face's state is a dataclass that keeps a callback's arguments, and is rebuilt for each checkpoint.
    state = dataclasses.make_dataclass("State", ["args"])(pickle.loads(pickle.dumps(joined)).options)
    assert dataclasses.asdict(state)["args"]["report_to"] == ["mlflow"]
    assert pickle.loads(pickle.dumps(track("digits", report_to=lock_user)))._options == {"report_to": []}
    with track("digits", report_to=lock_user, quiet=True) as run:
        assert pickle.loads(pickle.dumps(run.settings)).report_to == []


def test_a_package_that_is_not_installed_is_a_warning_that_is_counted(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with track("digits", report_to="prometheus") as run:
        pass
    row = {"what": "the reports to prometheus", "reason": "prometheus_client is not installed", "count": 1}
    assert run.summary.left_out == [row]


def test_all_loggers_are_asked_before_any_is_waited_for(monkeypatch):
    """Asked one after another, the first would wait for the second in vain."""
    monkeypatch.setattr(reporting, "END_S", 5.0)
    both = threading.Barrier(2)
    met = []

    def meet(figures):
        met.append(both.wait(10))

    with track("digits", report_to=[meet, lambda figures: meet(figures)]) as run:
        pass
    assert sorted(met) == [0, 1]
    assert run.summary.left_out == []


def test_a_logger_that_ends_first_is_no_mistake():
    class Ended:
        is_over = False

        def begin(self, labels, now):
            pass

        def log(self, figures):
            self.is_over = True
            raise RuntimeError("the run is finished")

        end = log

    with track("digits") as run:
        reporting.Report(run, "it", Ended)
    assert run.summary.left_out == []
