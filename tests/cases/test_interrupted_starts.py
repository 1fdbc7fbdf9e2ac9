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

def handler(*_): raise TimeIsUp

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
left = [each.name for each in threading.enumerate() if each.name == "traceml-sampler"]
print(json.dumps([struck, len(left), traceml_agent.current_run().__bool__()]))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_a_start_that_a_handler_ends_leaves_nothing_running():
    done = subprocess.run([sys.executable, "-c", ALARMS], capture_output=True, text=True, timeout=120)
    struck, samplers, goes_on = json.loads(done.stdout.splitlines()[-1])
    assert struck > 5, done.stderr
    assert (samplers, goes_on) == (0, False)
