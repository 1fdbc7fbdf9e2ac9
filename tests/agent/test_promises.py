"""Promises PA1 to PA22 that need a whole process: each with the number that it was given."""

import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import textwrap
import time
import uuid

import pytest

from traceml_agent.spool import recording


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}


@pytest.fixture
def start(environment, tmp_path):
    """Starts a script in a process of its own."""

    def script(code, *arguments, cwd=tmp_path, **more):
        words = [sys.executable, "-c", textwrap.dedent(code), *arguments]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(words, env=environment | more, cwd=cwd, **streams)

    return script


@pytest.fixture
def run(start):
    """What a script printed to stdout and stderr."""

    def script(code, *arguments, **more):
        process = start(code, *arguments, **more)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out, err

    return script


@pytest.fixture
def silent():
    """An address that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


STARTS = """
    import json, time
    from traceml_agent import start
    took = []
    for _ in range(30):
        began = time.perf_counter()
        run = start("x")
        took.append(time.perf_counter() - began)
        run.stop()
    print(json.dumps(took))
    import os
    os._exit(0)
"""


@pytest.mark.parametrize("server", ["refused", "silent", "unresolvable"])
def test_pa2_no_start_waits_for_the_network(run, silent, server):
    url = {"refused": "http://127.0.0.1:9", "silent": silent, "unresolvable": "https://no.such.host.invalid"}[server]
    out, _ = run(STARTS, TRACEML_AGENT_URL=url, TRACEML_AGENT_TOKEN="tml_x")
    took = json.loads(out)
    assert statistics.median(took) <= 0.05
    assert max(took) <= 1.0  # any wait for the network lasts seconds; what is left is a busy machine


@pytest.mark.parametrize(("server", "most_s"), [("refused", 1.0), ("silent", 3.5)])
def test_pa3_the_end_of_a_process_is_bounded(run, silent, server, most_s):
    code = "import time\nfrom traceml_agent import track\nwith track('x'): pass\nprint(time.time())"
    url = {"refused": "http://127.0.0.1:9", "silent": silent}[server]
    out, _ = run(code, TRACEML_AGENT_URL=url, TRACEML_AGENT_TOKEN="tml_x")
    assert time.time() - float(out) <= most_s  # promised: 0.3 and 2.3 s; the rest is for a busy machine


LIVES = """
    import time
    from traceml_agent import start
    run = start("x")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_pa4_of_30_kills_at_random_times_none_loses_more_than_an_interval(start, tmp_path):
    source, alive_s = random.Random(4), {}
    processes = {str(uuid.UUID(int=number)): None for number in range(30)}
    for run_id in processes:
        processes[run_id] = start(LIVES, TRACEML_AGENT_RUN_ID=run_id)
    began_s = {}
    for run_id, process in processes.items():
        assert process.stdout.readline() == "ready\n"
        began_s[run_id] = time.monotonic()
    for run_id in sorted(processes, key=lambda _: source.random()):
        time.sleep(source.uniform(0.0, 0.6))
        processes[run_id].send_signal(source.choice([signal.SIGKILL, signal.SIGTERM]))
        alive_s[run_id] = time.monotonic() - began_s[run_id]
        processes[run_id].communicate()
    lost_s = {run_id: alive_s[run_id] - last_sample_s(tmp_path, run_id) for run_id in processes}
    assert max(lost_s.values()) <= 5.0 + 2.0, lost_s  # an interval is 5 s; the rest is for a busy machine


def last_sample_s(tmp_path, run_id: str) -> float:
    """How far the samples of a run reach that its spool holds; fails where the run left nothing."""
    (file,) = (tmp_path / "spool").glob(f"{run_id}.*.spool")
    bodies = [record["body"] for _, record in recording.read(str(file)) if record]
    assert bodies[0]["model"] == "x"
    return max((sample["t_s"] for body in bodies for sample in body.get("samples") or ()), default=0.0)


def test_pa5_a_users_handler_runs_once_and_sigterm_keeps_its_status(start):
    process = start("""
        import signal, sys, time
        from traceml_agent import start
        signal.signal(signal.SIGUSR1, lambda *_: print("mine", flush=True))
        run = start("x")
        print("ready", flush=True)
        for _ in range(600): time.sleep(0.1)
    """)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "mine\n"
    process.terminate()
    assert process.communicate()[0] == ""
    assert process.returncode == -signal.SIGTERM


def test_pa13_eight_agents_on_one_spool_lose_and_double_nothing(start, portal):
    code = """
        import time
        from traceml_agent import track
        with track("x") as run:
            for step in range(20):
                run.log(loss=step)
                time.sleep(0.05)
    """
    settings = {"TRACEML_AGENT_URL": portal.url, "TRACEML_AGENT_TOKEN": portal.token, "TRACEML_AGENT_FLUSH_S": "20"}
    processes = [start(code, **settings) for _ in range(8)]
    for process in processes:
        process.communicate(timeout=60)
    runs = portal.runs()
    assert len(runs) == 8
    for stored in runs.values():
        losses = [m["value"] for batch in stored["batches"].values() for m in batch.get("metrics", [])]
        assert losses == [float(step) for step in range(20)]


def test_pa14_a_thousand_forks_while_it_measures_and_none_hangs(run):
    out, _ = run("""
        import os
        from traceml_agent import start
        run = start("x", interval=0.05)
        for _ in range(1000):
            child = os.fork()
            if child == 0:
                with run.stage("child"): run.log(a=1)
                os._exit(0)
            os.waitpid(child, 0)
        run.stop()
        print("done")
    """)
    assert out == "done\n"


def test_pa15_a_clock_that_jumps_by_a_day_changes_no_duration(run):
    out, _ = run("""
        import json, time
        from traceml_agent import start
        run = start("x", interval=0.1)
        wall = time.time
        time.sleep(0.5)
        time.time = lambda: wall() - 86_400
        time.sleep(0.5)
        summary = run.stop()
        print(json.dumps([summary.duration_s, *[device.elapsed_s for device in summary.devices]]))
    """)
    assert json.loads(out) == pytest.approx([1.0] * 3, abs=0.5)


def test_pa15_a_stopped_process_is_a_gap_and_no_energy(start):
    process = start("""
        import json, time
        from traceml_agent import start
        run, began = start("x", interval=0.1), time.monotonic()
        print("ready", flush=True)
        end = time.process_time() + 1
        while time.process_time() < end: pass
        observed = [device.elapsed_s for device in run.stop().devices]
        print(json.dumps([max(observed), time.monotonic() - began]))
    """)
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    process.send_signal(signal.SIGCONT)
    observed_s, lasted_s = json.loads(process.communicate(timeout=30)[0])
    assert observed_s < lasted_s - 2.5


CANARIES = ("canary-argv", "canary-env", "canary-cwd", "canary-user", "canary-param", "canary-git", "canary-token")


def test_pa19_nothing_private_leaves_the_machine(start, portal, tmp_path):
    place = tmp_path / "canary-cwd"
    (place / ".git").mkdir(parents=True)
    (place / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (place / ".git" / "config").write_text('[remote "origin"]\n\turl = https://me:canary-git@example.org/x.git\n')
    (place / ".git" / "packed-refs").write_text(f"{'a' * 40} refs/heads/main\n")
    code = """
        from traceml_agent import track
        with track("x", params={"db_password": "canary-param"}): pass
    """
    portal_settings = {"TRACEML_AGENT_URL": portal.url, "TRACEML_AGENT_TOKEN": portal.token}
    private = {"SECRET_THING": "canary-env", "USER": "canary-user", "LOGNAME": "canary-user"}
    process = start(code, "canary-argv", cwd=place, TRACEML_AGENT_FLUSH_S="20", **portal_settings, **private)
    process.communicate(timeout=60)
    sent = json.dumps([request.get("body") for request in portal.requests()])
    assert '"git_commit": "' + "a" * 40 in sent
    assert [canary for canary in CANARIES if canary in sent] == []
    assert socket.gethostname() not in sent.replace("hostname", "")
    assert portal.token not in sent


def test_pa20_the_footprint_stays_small(run, portal):
    out, _ = run(
        """
        import os, threading, time
        before = len(os.listdir("/proc/self/fd"))
        from traceml_agent import start
        run = start("x", interval=0.05)
        time.sleep(2)
        rss = lambda: int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        early = rss()
        time.sleep(4)
        print(threading.active_count() - 1, len(os.listdir("/proc/self/fd")) - before, rss() - early)
        """,
        TRACEML_AGENT_URL=portal.url,
        TRACEML_AGENT_TOKEN=portal.token,
    )
    threads, descriptors, growth_mb = map(float, out.split())
    assert threads <= 2
    assert descriptors <= 6
    assert growth_mb < 1


def test_the_training_is_the_same_byte_for_byte_whatever_the_agent_meets(run, tmp_path):
    code = """
        import random
        {track}
            source = random.Random(1)
            print(sum(source.random() for _ in range(100_000)).hex())
    """
    bare, _ = run(code.format(track="if True:"))
    hostile = {
        "TRACEML_AGENT_URL": "not a url",
        "TRACEML_AGENT_SPOOL_DIR": "/proc/nowhere",
        "XDG_STATE_HOME": "/proc/x",
    }
    tracked, _ = run(code.format(track="import traceml_agent\n        with traceml_agent.track('x'):"), **hostile)
    assert tracked == bare
