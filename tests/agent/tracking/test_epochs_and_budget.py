"""`epochs()` with its forecast, budgets, and energy per unit of useful work: in real processes."""

import json
import os
import pty
import subprocess
import sys
import textwrap

import pytest

from traceml_agent.tracking.budget import Budget
from traceml_agent.tracking.epochs import Gauge


@pytest.fixture
def script(tmp_path):
    def run(code, **more):
        environment = os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}
        words = [sys.executable, "-c", textwrap.dedent(code)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        return subprocess.run(words, env=environment, text=True, timeout=60, check=False, **streams)

    return run


FORECAST = """
    import json
    from traceml_agent import track
    with track("digits", interval=0.05) as run:
        for epoch in run.epochs(range(6)):
            for _ in range(60):
                sum(range(200_000))
            if epoch == 2:
                early = run.forecast
            run.log(samples=500, tokens=1000)
            run.log(samples=500)
    print(json.dumps([early, run.forecast, run.summary]))
"""


def test_a_forecast_comes_near_what_is_used_in_the_end(script):
    done = script(FORECAST)
    early, late, summary = json.loads(done.stdout)
    assert (early["epochs_done"], early["epochs"], late["epochs_done"]) == (2, 6, 6)
    assert late["energy_kwh"] == pytest.approx(summary["energy_kwh"], rel=0.15)
    assert early["energy_low_kwh"] <= early["energy_kwh"] <= early["energy_high_kwh"]
    assert early["duration_s"] == pytest.approx(summary["duration_s"], rel=0.5)


def test_work_is_added_up_and_its_energy_told(script):
    summary = json.loads(script(FORECAST).stdout)[2]
    assert summary["work"]["samples"]["count"] == 6000
    assert summary["work"]["tokens"]["kwh_per_1000"] == pytest.approx(summary["energy_kwh"] / 6)


def test_a_terminal_shows_a_line_that_is_drawn_anew(script):
    ours, theirs = pty.openpty()
    script(FORECAST, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while update := os.read(ours, 65536):
            shown += update
    except OSError:
        pass
    lines = shown.decode().split("\r")
    assert len([line for line in lines if "epoch" in line and "expected in total" in line]) == 6


def test_a_log_file_gets_no_line_but_the_last(script):
    assert len(script(FORECAST).stderr.splitlines()) == 1


ENDLESS = """
    import json, sys
    from traceml_agent import track

    class Streamed:
        def __iter__(self):
            return iter(range(3))
        def __len__(self):
            raise NotImplementedError

    def looped(epochs):
        for epoch in epochs:
            if epoch == 2:
                break
        return epochs._run.forecast

    with track("digits") as run:
        found = [looped(run.epochs(each)) for each in (range(sys.maxsize), range(10**30), Streamed(), iter(range(9)))]
    print(json.dumps([each["epochs"] == each["epochs_done"] == 2 for each in found]))
"""


def test_what_stands_for_no_end_is_no_number_of_epochs(script):
    """Hugging Face says `sys.maxsize` for streamed data: a forecast of 10¹³ kWh, and stages that no portal takes."""
    done = script(ENDLESS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True] * 4


def test_over_budget_stop_ends_the_epochs(script):
    done = script("""
        from traceml_agent import track
        with track("digits", interval=0.05, budget_kwh=1e-9, on_budget="stop") as run:
            count = 0
            for epoch in run.epochs(range(1000)):
                sum(range(3_000_000))
                count += 1
        print(count, run.over_budget)
    """)
    count, over = done.stdout.split()
    assert (0 < int(count) < 100, over) == (True, "True")
    assert "over budget" in done.stderr


def test_code_that_holds_the_interpreter_does_not_delay_the_end_of_the_epochs(script):
    """The sampler's thread gets hardly a turn here; the epoch's own end looks at the budget."""
    done = script("""
        from traceml_agent import track
        with track("digits", budget_kwh=1e-9, on_budget="stop") as run:
            count = 0
            for epoch in run.epochs(range(200)):
                sum(range(60_000_000))  # one call of C that lets nobody else run
                count += 1
        print(count)
    """)
    assert int(done.stdout) <= 4


def test_over_budget_a_function_is_called_once_with_the_run(script):
    done = script("""
        import time
        from traceml_agent import track
        with track("digits", interval=0.05, budget_kg=0, on_budget=lambda run: print("called", run.model, flush=True)):
            time.sleep(0.5)
    """)
    assert done.stdout == "called digits\n"


def test_within_budget_nothing_is_said(script):
    done = script("""
        import time
        from traceml_agent import track
        with track("digits", interval=0.05, budget_kwh=1, budget_kg=1) as run:
            time.sleep(0.3)
        print(run.over_budget)
    """)
    assert (done.stdout, len(done.stderr.splitlines())) == ("False\n", 1)


@pytest.mark.parametrize("bound", [-1, float("nan"), "much", object()])
def test_a_bound_that_is_none_is_ignored(bound):
    assert not Budget(kwh=bound).is_set


def test_between_readings_the_gauge_goes_on_with_the_last_power():
    class At:
        def __init__(self, at, energy_j):
            self.at, self.energy_j, self.held_s, self.busy_s, self.profile = at, energy_j, at, 0.0, None
            self.facts = {"kind": "gpu", "name": "NVIDIA A100-SXM4-40GB", "basis": "counter"}

    gauge = Gauge()
    for at, energy_j in ((10.0, 1000.0), (11.0, 1300.0)):
        gauge.read([At(at, energy_j)])
    assert gauge.energy_j(11.5) == 1450.0
    assert gauge.energy_j(1000.0) == 1300 + 5 * 300  # but not for long: a sensor that hangs gives no energy
