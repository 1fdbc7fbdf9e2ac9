"""A signal's handler that raises while a run begins, as time limits do."""

import json
import os
import signal
import subprocess
import sys

import pytest

ALARMS = """
import json, signal, threading, time
import traceml_agent

class TimeIsUp(Exception): pass

raised = 0

def handler(*_):
    global raised
    raised += 1
    raise TimeIsUp

traceml_agent.start("warm").stop()
signal.signal(signal.SIGALRM, handler)
struck = 0
for turn in range(60):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002 + turn * 0.00005)
        traceml_agent.start("interrupted")
        signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeIsUp:
        struck += 1
    traceml_agent.current_run().stop()  # one that had begun
time.sleep(0.3)
left = [each for each in threading.enumerate() if each.name == "traceml-sampler" and each.is_alive()]
print(json.dumps([raised, struck, len(left), bool(traceml_agent.current_run())]))
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")


@pytest.fixture(scope="module")
def alarms():
    """What sixty starts left, each interrupted at another moment, and what was said."""
    done = subprocess.run([sys.executable, "-c", ALARMS], capture_output=True, text=True, timeout=120)
    names = ("raised", "struck", "samplers", "goes_on")
    found = dict(zip(names, json.loads(done.stdout.splitlines()[-1]), strict=True))
    return found | {"said": done.stderr}


def test_a_start_that_a_handler_ends_leaves_nothing_running(alarms):
    assert alarms["struck"] > 5
    assert (alarms["samplers"], alarms["goes_on"]) == (0, False)


def test_what_a_handler_raises_during_a_start_reaches_the_training(alarms):
    """But for what it raises in a finaliser, which Python prints."""
    assert alarms["raised"] - alarms["struck"] <= alarms["said"].count("Exception ignored")


def test_a_run_whose_start_was_ended_waits_for_no_thread(alarms):
    assert "hangs" not in alarms["said"]


HANDLER = """
import signal, sys, traceml_agent

class Model:
    def predict(self, names):
        return names

def handle(number, frame):
    with traceml_agent.start("inner", url="") as run:
        for epoch in run.epochs(range(2)):
            run.log(loss=0.5, tokens=1)
        with run.stage("last"):
            traceml_agent.watch(Model(), run=run).predict(["Ada"])
        print(float(run.summary.energy_kwh) >= 0, file=sys.stderr)

def trace(frame, event, _):
    code = frame.f_code
    if code.co_filename.endswith(sys.argv[1]) and code.co_qualname == sys.argv[2]:
        sys.settrace(None)
        signal.raise_signal(signal.SIGUSR1)

signal.signal(signal.SIGUSR1, handle)
sys.settrace(trace)
with traceml_agent.start("outer", url="") as run:
    run.log(loss=0.5)
print(sys.gettrace() is None)
"""


def _with_a_handler(tmp_path, *place) -> str:
    """What is said where a handler tracks a run at this place of the first start: a file and a function of it."""
    settings = {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}
    words = [sys.executable, "-c", HANDLER, *place]
    done = subprocess.run(words, env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    return done.stderr


def test_a_handler_that_tracks_a_run_while_the_first_one_starts_waits_for_nothing(tmp_path):
    """Both want what a process has once. A lock that is held by the code that the handler interrupted never opens."""
    said = _with_a_handler(tmp_path, "host/holds.py", "Holds.__init__")
    assert [line.split(": ")[1] for line in said.splitlines() if line.startswith("TraceML")] == ["inner", "outer"]


@pytest.mark.parametrize("module", ["tracking/budget.py", "inputs/metadata.py", "host/endings.py", "host/identity.py"])
def test_a_handler_that_comes_while_the_first_start_loads_its_modules_gets_no_exception(tmp_path, module):
    """Modules that are half loaded can't be used: the handler's run keeps nothing, and the training's keeps all."""
    assert "TraceML: outer" in _with_a_handler(tmp_path, module, "<module>")
