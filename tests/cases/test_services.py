"""Servers that bend the interpreter: cooperative workers whose threads are none, programs that embed Python."""

import socket
import stat
import subprocess
import sys
import textwrap
import time

import pytest
import requests

from tests.cases.conftest import last_t_s, metrics, status


@pytest.mark.parametrize("patch", ["import gevent.monkey as monkey", "import eventlet as monkey"])
@pytest.mark.parametrize("order", ["before", "after"])
def test_under_cooperative_threads_a_busy_run_is_whole(run, processes, arrived, patch, order):
    """Tracers under gevent and eventlet: what they take for a thread is a task that runs when others pause, so a
    worker hangs in a lock at its start or end, or nothing is sent. A computation that never pauses is measured from
    start to end, whether the agent was imported before the patch or after it."""
    patching = f"{patch}\nmonkey.patch_all() if hasattr(monkey, 'patch_all') else monkey.monkey_patch()"
    first, second = (patching, "import traceml_agent")[:: 1 if order == "before" else -1]
    code = """
        import time
        with traceml_agent.track("x") as run:
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                sum(range(1000))
            run.log(loss=1)
        print("done")
    """
    out, err = run("\n".join([first, second, textwrap.dedent(code)]))
    assert out == "done\n"
    assert "Traceback" not in err
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert metrics(stored) == {"loss": [1.0]}
    assert last_t_s(stored) == pytest.approx(1.5, abs=0.8)


SERVICE = """
import subprocess
from traceml_agent import watch

class Greeter:
    def predict(self, names):
        return ["hello " + name for name in names]

model = watch(Greeter(), name="greeter")

def application(environ, respond):
    subprocess.run(["true"], check=True)
    model.predict(["Ada"])
    respond("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_gevent_worker_that_starts_commands_answers_and_counts_every_call(environment, processes, portal, tmp_path):
    """A tracer under gunicorn's gevent workers: each time a request starts a command, hooks around the fork wait for
    a background thread that talks to the network, and all requests of the worker stand still. All are answered, and
    all calls arrive when the service is told to stop."""
    (tmp_path / "service.py").write_text(SERVICE)
    address = f"127.0.0.1:{free_port()}"
    words = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", address, "--log-level", "warning", "service"]
    server = subprocess.Popen(words, env=environment | {"PYTHONUNBUFFERED": "1"}, cwd=tmp_path)
    answers: list[str] = []
    until = time.monotonic() + 60
    while time.monotonic() < until and len(answers) < 30:
        try:
            answers.append(requests.get(f"http://{address}/", timeout=30).text)
        except requests.ConnectionError:
            assert not answers
            time.sleep(0.1)
    assert answers == ["ok"] * 30
    time.sleep(1.5)
    server.terminate()
    server.wait(timeout=60)
    portal.wait_for(lambda p: any(run["finishes"] for run in p.runs().values()))
    (stored,) = portal.runs().values()
    rows = [row for batch in stored["batches"].values() for row in batch.get("calls", [])]
    assert max(row["calls"] for row in rows) == 30
    assert status(stored) == "completed"


@pytest.mark.parametrize("executable", ["", "the server itself"])
def test_a_server_that_embeds_python_is_not_started_again(run, processes, place, tmp_path, executable):
    """Servers with Python inside (uWSGI and others) name themselves, or nothing, as the interpreter: a tool that
    starts its helper with it starts the server a second time. That never happens; the run is kept, and is either
    delivered or said to wait."""
    mark = tmp_path / "started-again"
    server = tmp_path / "server"
    server.write_text(f"#!/bin/sh\necho again >> {mark}\n")
    server.chmod(server.stat().st_mode | stat.S_IXUSR)
    out, err = run(f"""
        import sys, time
        sys.executable = {str(server) if executable else ""!r}
        from traceml_agent import track
        with track("x") as run:
            time.sleep(1)
        print("served")
    """)
    assert out == "served\n"
    assert not mark.exists()
    waits = [path for path in place.iterdir() if path.suffix == ".spool"]
    assert not waits or "traceml-agent sync" in err


def test_a_log_stream_of_the_servers_own_making_gets_words_and_raises_nothing(run, processes, arrived):
    """Task queues put a log in the place of stderr, windowed applications nothing at all: a line printed there
    raises in the midst of the work. Neither the summary nor a warning does, and stdout stays empty."""
    out, _ = run("""
        import sys, time, traceml_agent

        class Log:
            def write(self, text):
                raise RuntimeError("log closed")

        for stream in (None, Log(), object()):
            sys.stderr = stream
            with traceml_agent.track("x") as run:
                run.log(loss="no number")
                time.sleep(0.2)
        sys.stderr = sys.__stderr__
    """)
    assert out == ""
    assert {status(stored) for stored in arrived(3)} == {"completed"}
