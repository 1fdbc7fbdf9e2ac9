"""Kernels and Pythons that know less: how a run ended is told by them too."""

from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[2] / "agent" / "src")
#: Pythons that were built for older systems, as those of a well-known distribution for science are, lack the call.
NO_PIDFD_OPEN = "import os; del os.pidfd_open"
#: Kernels before 6.15 don't tell how a process ended to whoever asks.
NO_INFO = """
import fcntl
def refuse(*_):
    raise OSError(25, "Inappropriate ioctl for device")
fcntl.ioctl = refuse
"""
#: As large as a small training: its memory is let go of for some milliseconds.
LARGE = """
import os, sys, time, traceml_agent
memory = b"1" * 300_000_000
traceml_agent.start("model")
time.sleep(1)
"""


@pytest.mark.parametrize(
    ("system", "ending", "told"),
    [
        (NO_PIDFD_OPEN, "os.kill(os.getpid(), 9)", ("failed", "SIGKILL")),
        (NO_PIDFD_OPEN, "sys.exit(3)", ("failed", "exit status 3")),
        (NO_PIDFD_OPEN, "pass", ("completed", "")),
        (NO_INFO, "sys.exit(3)", ("failed", "exit status 3")),
        (NO_INFO, "pass", ("completed", "")),
    ],
)
def test_how_a_run_ended_is_told_on_an_older_system(start, portal, processes, tmp_path, system, ending, told):
    """Experiment tracker: on most clusters' kernels a script that failed was shown as a success every other time."""
    (tmp_path / "sitecustomize.py").write_text(system)
    script = start(LARGE + ending, PYTHONPATH=f"{tmp_path}:{SOURCE}")
    script.wait(20)
    portal.wait_for(lambda p: not any(each.is_running() and each.pid != script.pid for each in processes()))
    (run,) = portal.runs().values()
    assert (run["finishes"][-1]["status"], run["finishes"][-1]["exception"]) == told
