"""Processes in the world: daemons, pools whose workers don't last, supervisors that reap, callers that wait for EOF."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.cases.conftest import last_t_s, metrics, status

LIBRARY = """
import time
from traceml_agent import track

def trial(number):
    with track("trial") as run:
        run.log(number=number)
        time.sleep(0.3)
    return number
"""


@pytest.fixture
def library(tmp_path):
    (tmp_path / "library.py").write_text(LIBRARY)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_that_end_after_each_task_lose_none(run, library, processes, arrived, method):
    """Task queues that replace a worker after every task: it is ended as soon as the task returns, and what a tracer
    held back for its next round dies with it, without a word. Each task's run arrives. (Workers are daemonic, too:
    they may have no children of multiprocessing, which is what some trackers start.)"""
    out, _ = run(f"""
        import multiprocessing, library
        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(2, maxtasksperchild=1) as pool:
                print(sorted(pool.map(library.trial, range(6), chunksize=1)))
    """)
    assert out == "[0, 1, 2, 3, 4, 5]\n"
    runs = arrived(6)
    assert sorted(value for stored in runs for value in metrics(stored)["number"]) == [0, 1, 2, 3, 4, 5]
    assert {status(stored) for stored in runs} == {"completed"}


DAEMONISES = """
    import os, sys, time, traceml_agent

    def daemonise():
        for _ in range(2):
            if os.fork():
                os._exit(0)
            os.setsid() if os.getsid(0) != os.getpid() else None
        os.closerange(0, 256)
        for _ in range(3):
            os.open(os.devnull, os.O_RDWR)
"""


def test_a_daemon_is_measured_from_when_it_is_one(start, processes, arrived):
    """Daemons of the old school: fork twice, lead a session of their own, close every descriptor. A run that begins
    after that is like any other."""
    start(
        DAEMONISES
        + """
    daemonise()
    with traceml_agent.track("daemon") as run:
        time.sleep(1.2)
        run.log(loss=1)
    """
    ).communicate(timeout=30)
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert metrics(stored) == {"loss": [1.0]}
    assert last_t_s(stored) == pytest.approx(1.2, abs=0.8)


def test_a_run_whose_process_turns_into_a_daemon_does_not_stay_running(start, processes, arrived):
    """A server that is set up, tracked, and then goes to the background: the process that started the run is gone,
    what goes on is its child. The run ends where its process did, with what it had, instead of running for ever."""
    process = start(
        DAEMONISES
        + """
    run = traceml_agent.start("server")
    run.log(loss=1)
    time.sleep(2.5)
    daemonise()
    time.sleep(30)
    """
    )
    process.wait(timeout=30)
    (stored,) = arrived()
    assert metrics(stored) == {"loss": [1.0]}


def test_a_caller_that_reads_to_the_end_of_the_output_is_not_held_up(environment, portal, processes, tmp_path):
    """Schedulers and tools that run a script and read its pipes until their end: a background process that inherited
    one keeps it open, and the caller hangs for minutes. Nothing of ours holds a pipe that the script was given."""
    portal.mode("hang")
    reader, writer = os.pipe()
    code = "import traceml_agent\nwith traceml_agent.track('x'): print('done')"
    script = subprocess.Popen(
        [sys.executable, "-c", code], stdout=writer, stderr=writer, pass_fds=[writer], env=environment, cwd=tmp_path
    )
    os.close(writer)
    script.wait(timeout=30)
    ended_s = time.monotonic()
    with os.fdopen(reader) as pipe:
        assert "done" in pipe.read()
    assert time.monotonic() - ended_s < 20.0


def test_what_a_training_frees_is_free_although_the_agent_lives(start, processes):
    """Experiment trackers whose helper is a fork of the training: memory that was allocated before it was born, and
    ports and files that were open, stay taken as long as the helper lives."""
    process = start("""
        import os, socket, time
        data = bytearray(os.urandom(1024)) * 300_000
        listener = socket.socket()
        listener.set_inheritable(True)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        from traceml_agent import start
        run = start("x")
        time.sleep(2)
        port = listener.getsockname()[1]
        listener.close()
        print(port, flush=True)
        time.sleep(30)
    """)
    port = int(process.stdout.readline())
    helpers = [each for each in processes() if each.pid != process.pid]
    assert helpers
    assert max(helper.memory_info().rss for helper in helpers) < 150 * 2**20
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_a_supervisor_that_adopts_orphans_meets_none_of_ours(run, processes, arrived):
    """Supervisors, and whatever is process 1 of a container, adopt every orphan below them: a helper that detached
    itself comes back as their child, and a loop that waits for all children waits for it, or zombies gather."""
    out, _ = run(
        """
        import ctypes, os, time
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
        from traceml_agent import track
        with track("x"):
            time.sleep(1.5)
            mine = os.fork()
            if mine == 0:
                time.sleep(0.5)
                os._exit(0)
            reaped = []
            try:
                while True:
                    reaped.append(os.wait()[0])
            except ChildProcessError:
                print(reaped == [mine])
    """,
    )
    assert out == "True\n"
    assert status(arrived()[0]) == "completed"


def test_a_handler_that_reaps_children_is_called_for_its_own_alone(run, processes, arrived):
    """Worker managers reap in a handler of SIGCHLD: it is called for a helper that it never started, waits for a
    status that somebody else took, and hangs or fails in the midst of other code. It never hears of ours."""
    out, _ = run("""
        import os, signal, time
        reaped = []
        signal.signal(signal.SIGCHLD, lambda *_: reaped.append(os.wait()[0]))
        mine = os.fork()
        if mine == 0:
            time.sleep(3)
            os._exit(0)
        from traceml_agent import track
        for _ in range(2):
            with track("x"):
                until = time.monotonic() + 1
                while time.monotonic() < until:
                    time.sleep(0.01)
        print(reaped == [], flush=True)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            time.sleep(0.01)
        print(reaped == [mine])
    """)
    assert out == "True\nTrue\n"
    arrived(2)


def test_a_program_that_ignores_its_children_is_measured(run, processes, arrived):
    """Servers that let the kernel reap (SIGCHLD ignored): to wait for a helper fails there, which trackers take for
    its failure. The run arrives and nothing is printed but its one line."""
    _, err = run("""
        import signal, time
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        from traceml_agent import track
        with track("x"):
            time.sleep(0.5)
    """)
    assert "Traceback" not in err
    assert "did not start" not in err
    assert status(arrived()[0]) == "completed"


@pytest.fixture
def everybodys():
    """A folder like /tmp, where every user may write."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_server_that_gives_up_root_keeps_its_run(run, processes, arrived, everybodys):
    """Servers and intake tools start as root and become an unprivileged user: files that a logger opened before, or
    its home, are out of reach from then on. The run goes on, and one that begins afterwards arrives, too."""
    _, err = run(
        """
        import logging, os, sys, time  # logging as any server: Python itself may be out of reach afterwards
        from traceml_agent import track
        with track("warm"):
            time.sleep(0.2)
        with track("first") as run:
            time.sleep(0.5)
            os.setgid(65534)
            os.setuid(65534)
            run.log(loss=1)
            time.sleep(1.2)
        os.environ["TMPDIR"] = sys.argv[1]  # the spool of the settings is root's; the next place is found
        with track("second") as run:
            run.log(loss=2)
            time.sleep(0.5)
        """,
        everybodys,
    )
    assert "Traceback" not in err
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(3)}
    assert metrics(runs["first"]) == {"loss": [1.0]}
    assert metrics(runs["second"]) == {"loss": [2.0]}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the root folder")
def test_a_server_that_locks_itself_up_is_not_brought_down(run, processes, tmp_path):
    """Servers that chroot into an empty folder once they are set up: a library that imports late finds nothing of
    itself nor of Python any more. The server goes on, the agent's trouble is not its own."""
    (tmp_path / "jail").mkdir()
    out, _ = run("""
        import os, time
        from traceml_agent import track
        with track("x") as run:
            time.sleep(0.5)
            os.chroot("jail")
            os.chdir("/")
            with run.stage("serving"):
                run.log(loss=1, name="no number")
            time.sleep(1)
        with track("y") as run:
            run.log(loss=2)
        print("served")
    """)
    assert out == "served\n"
