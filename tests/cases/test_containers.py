"""Containers and sandboxes: a user that nobody knows, process 1, no /proc, no settings but what is given."""

import subprocess

import pytest

from tests.cases.conftest import metrics, status

TRAINS = """
    import time
    from traceml_agent import track
    with track("x") as run:
        run.log(loss=1)
        time.sleep(1.2)
    print("trained")
"""


@pytest.fixture(autouse=True)
def namespaces():
    """What containers are made of, where this machine lets a user have it."""
    if subprocess.run(["unshare", "-Urmpf", "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces on this machine")


@pytest.fixture
def bare(environment):
    """Words that take everything from the environment but what an image sets."""
    kept = ("PATH", "PYTHONPATH", "TRACEML_AGENT_URL", "TRACEML_AGENT_TOKEN")
    return ["env", "-i", *(f"{name}={environment[name]}" for name in kept)]


def test_a_user_without_a_name_or_home_has_its_run(run, bare, environment, processes, arrived):
    """Clusters that run images under an arbitrary user id: there is no entry for it, no home, no user name, and error
    trackers fail when they ask for one. The run arrives all the same."""
    temporary = f"TMPDIR={environment['TMPDIR']}"
    out, err = run(TRAINS, before=["unshare", "--user", "--map-user=54321", *bare, temporary])
    assert out == "trained\n"
    assert "Traceback" not in err
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert metrics(stored) == {"loss": [1.0]}


SERVES = """
    import signal, sys, time
    from traceml_agent import track
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with track("x", kind="inference") as run:
        run.log(loss=1)
        print("ready", flush=True)
        for _ in range(600):
            time.sleep(0.1)  # a signal that comes just before a sleep is heard after it
"""


@pytest.mark.parametrize("ends", ["by itself", "when the container is stopped"])
def test_process_one_of_a_container_has_delivered_when_it_ends(start, processes, arrived, ends):
    """A container ends with its process 1, and everything else in it is killed at that moment: a helper that was to
    deliver afterwards never does, and the container's disk goes, too. What the end waits for is delivered by then."""
    before = ["unshare", "-Urpf", "--mount-proc"]
    process = start(TRAINS if ends == "by itself" else SERVES, before=before)
    if ends != "by itself":
        assert process.stdout.readline() == "ready\n"
        (served,) = [each for each in processes() if each.ppid() == process.pid]
        served.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    (stored,) = arrived(seconds=0.5)
    assert status(stored) == "completed"
    assert metrics(stored) == {"loss": [1.0]}


def test_process_one_of_a_container_reaps_its_own_children_alone(run, processes, arrived):
    """A script as process 1 of a container is everybody's parent: helpers of its tools end up as its children, and
    gather as zombies or come up in its loop over os.wait."""
    out, _ = run(
        """
        import os, time, psutil
        from traceml_agent import track
        for _ in range(3):
            with track("x"):
                mine = os.fork()
                if mine == 0:
                    time.sleep(1.5)
                    os._exit(0)
                reaped = []
                try:
                    while True:
                        reaped.append(os.wait()[0])
                except ChildProcessError:
                    print(reaped == [mine])
        print([p.name() for p in psutil.process_iter() if p.status() == psutil.STATUS_ZOMBIE])
        """,
        before=["unshare", "-Urpf", "--mount-proc"],
    )
    assert out == "True\nTrue\nTrue\n[]\n"


def test_a_sandbox_without_proc_has_its_run(run, processes, arrived):
    """Sandboxes and jails that show no /proc (or hide other processes in it): a monitor's thread dies of an exception
    in each round, or the tool fails at its start. The run arrives; what can't be measured without it is named."""
    hide = 'mount -t tmpfs none /proc && exec "$@"'
    out, err = run(TRAINS, before=["unshare", "-Urm", "sh", "-c", hide, "sh"])
    assert out == "trained\n"
    assert "Traceback" not in err
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert metrics(stored) == {"loss": [1.0]}
    assert {"cpu", "ram"} <= {row["device"] for row in stored["samples"]} or "can't be read" in err


def test_a_root_that_cannot_be_written_has_its_run(run, bare, processes, arrived):
    """Pods with a read-only root, no home and no temporary folder: a tool that keeps its state on disk fails, or is
    silently off. The run goes through memory and arrives, with a word that it does."""
    # /dev/shm a new one: whoever runs the tests may have a spool of her own there
    read_only = 'mount -t tmpfs none /dev/shm && mount -o remount,bind,ro / && exec "$@"'
    out, err = run(TRAINS, before=["unshare", "-Urm", "sh", "-c", read_only, "sh", *bare])
    assert out == "trained\n"
    assert "in memory" in err
    assert metrics(arrived()[0]) == {"loss": [1.0]}
