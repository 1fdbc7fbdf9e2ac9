"""How a process ended, seen by one that is not its parent, and what that says of a run."""

import os
import signal
import subprocess
import sys

import pytest

from traceml_agent.host import endings
from traceml_agent.host.endings import UNKNOWN, Life, of_exception, of_exit_code


@pytest.fixture
def orphan():
    """Start a process whose parent is somebody else, as the training is to its uploader; its pid."""

    def start(code: str) -> int:
        launcher = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {code!r}]).pid)"
        return int(subprocess.run([sys.executable, "-c", launcher], stdout=subprocess.PIPE, check=True).stdout)

    return start


SLEEPS = "import time, os, signal; time.sleep(0.7); "


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os._exit(0)", 0),
        ("raise SystemExit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_the_exit_code_of_somebody_elses_process_is_known(orphan, end, code):
    pid = orphan(SLEEPS + end)
    life = Life(pid, endings.began_at(pid))
    assert life.wait([], 10.0)
    assert life.exit_code() in (code, None)  # None: a kernel before 6.15 whose parent was faster
    if code is not None and os.uname().release >= "6.15":
        assert life.exit_code() == code


def test_a_later_process_of_the_same_number_is_not_taken_for_it():
    assert not endings.is_alive(os.getpid(), "1")
    assert endings.is_alive(os.getpid(), endings.began_at(os.getpid()))
    assert Life(os.getpid(), "1").wait([], 5.0)


def test_a_zombie_has_ended_and_tells_how(monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    life = Life(child.pid, endings.began_at(child.pid))
    assert life.wait([], 10.0)
    assert life.exit_code() == 7
    child.wait()


def test_without_a_pidfd_the_end_is_seen_all_the_same(monkeypatch):
    def none(pid):
        raise OSError("an old kernel")

    monkeypatch.setattr(endings, "_pidfd_open", none)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    life = Life(child.pid, endings.began_at(child.pid))
    child.wait()
    assert life.wait([], 1.0)
    assert life.exit_code() is None


@pytest.mark.parametrize(
    ("kind", "status"),
    [("training", ("stopped", UNKNOWN)), ("inference", ("completed", "")), ("", ("stopped", UNKNOWN))],
)
def test_where_the_system_does_not_tell_nothing_is_called_a_failure(kind, status):
    assert of_exit_code(None, kind) == status


def chained() -> SystemExit:
    """As frameworks turn Ctrl-C into an exit of their own."""
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SystemExit(1)  # noqa: B904 (their code)
    except SystemExit as error:
        return error


@pytest.mark.parametrize(
    ("error", "kind", "ended"),
    [
        (None, "training", ("completed", "")),
        (ValueError(), "training", ("failed", "ValueError")),
        (KeyboardInterrupt(), "training", ("cancelled", "KeyboardInterrupt")),
        (KeyboardInterrupt(), "inference", ("completed", "")),
        (SystemExit(0), "training", ("completed", "")),
        (SystemExit(None), "training", ("completed", "")),
        (SystemExit(3), "training", ("failed", "SystemExit")),
        (SystemExit("a message"), "training", ("failed", "SystemExit")),
        (SystemExit(143), "training", ("stopped", "SIGTERM")),
        (SystemExit(143), "inference", ("completed", "")),
        (chained(), "training", ("cancelled", "KeyboardInterrupt")),
    ],
)
def test_what_an_exception_says_of_a_run(error, kind, ended):
    assert of_exception(type(error) if error is not None else None, error, kind) == ended
