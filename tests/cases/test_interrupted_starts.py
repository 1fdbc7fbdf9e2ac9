"""A signal's handler that raises while a run begins, as time limits do."""

import json
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
