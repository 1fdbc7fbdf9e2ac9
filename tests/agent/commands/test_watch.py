"""`traceml-agent watch`: a process that is no Python of ours, or a cgroup."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.agent.spooling import wait_until
from tests.fakes.engines import VLLM, FakeEngine
from traceml_agent.commands.watch import is_alive, name_of, see_its_gpus
from traceml_agent.host.allocation import Target
from traceml_agent.host.processes import Cgroup
from traceml_agent.spool import recording

BURN = "s=$(date +%s); while [ $(($(date +%s)-s)) -lt 6 ]; do :; done"


@pytest.fixture
def watch(tmp_path):
    """Watches a target by the command line until it ends."""

    def call(*words):
        environment = os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}
        return subprocess.Popen(
            [sys.executable, "-m", "traceml_agent", "watch", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return call


@pytest.fixture
def bodies(tmp_path):
    def read():
        (file,) = (tmp_path / "spool").glob("*.spool")
        return [record["body"] for _, record in recording.read(str(file)) if record]

    return read


def test_a_shell_is_measured_with_its_children_until_it_ends(watch, bodies):
    with subprocess.Popen(["sh", "-c", BURN]) as target:
        watching = watch("--pid", str(target.pid), "--kind", "inference")
        target.wait()
        _, said = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert said.startswith("TraceML: sh: ")
    header, *_, finish = bodies()
    assert (header["model"], header["kind"], finish["status"]) == ("sh", "inference", "completed")
    cpu = next(s for s in finish["samples"] if s["device"] == "cpu-0")
    cores = next(d["cores"] for d in finish["devices"] if d["key"] == "cpu-0")
    assert 0.3 < cpu["busy_s"] * cores < 9.0  # a busy machine gives a shell little of its six seconds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["inference", "training"])
def test_a_signal_ends_the_watching_and_not_the_target_and_what_was_watched_is_complete(
    watch, bodies, tmp_path, number, kind
):
    with subprocess.Popen(["sleep", "60"]) as target:
        watching = watch("--pid", str(target.pid), "--kind", kind)
        wait_until(lambda: list(tmp_path.glob("spool/*.spool")) and len(bodies()) > 1)  # it has begun to measure
        time.sleep(1)
        watching.send_signal(number)
        watching.communicate(timeout=30)
        assert (target.poll(), watching.returncode) == (None, 0)
        target.kill()
    assert (bodies()[-1]["status"], bodies()[-1]["exception"]) == ("completed", "")


def test_a_watched_script_gives_its_name_to_the_model(tmp_path):
    (tmp_path / "train_digits.py").write_text("import time; time.sleep(60)")
    (tmp_path / "server").write_text("import time; time.sleep(60)")
    for words, name in ((["-u", "train_digits.py"], "train_digits"), (["./server"], "server")):
        with subprocess.Popen([sys.executable, *words], cwd=tmp_path) as target:
            time.sleep(0.3)
            assert name_of(Target(target.pid)) == name
            target.kill()


def test_a_process_of_the_kernel_is_named_by_what_the_kernel_calls_it(tree):
    tree("proc/2/cmdline", "")
    tree("proc/2/comm", "kthreadd\n")
    assert name_of(Target(2)) == "kthreadd"


@pytest.mark.parametrize("words", [("--pid", "999999999"), ("--cgroup", "/no/such/group"), ()])
def test_what_is_not_there_is_said_with_the_remedy(watch, words):
    watching = watch(*words)
    _, said = watching.communicate(timeout=30)
    assert watching.returncode == 2
    assert "Traceback" not in said


def test_a_zombie_is_not_alive():
    child = subprocess.Popen(["true"])
    deadline = time.monotonic() + 5
    while is_alive(Target(child.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(Target(child.pid))
    child.wait()


def test_a_process_is_named_by_its_program_and_its_gpus_are_its_own(monkeypatch):
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with subprocess.Popen(["sleep", "60"], env={"CUDA_VISIBLE_DEVICES": "3"}) as target:
        time.sleep(0.3)
        assert name_of(Target(target.pid)) == "sleep"
        see_its_gpus(Target(target.pid))
        target.kill()
    assert (os.environ["CUDA_VISIBLE_DEVICES"], "CUDA_DEVICE_ORDER" in os.environ) == ("3", False)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A built tree in the place of `/`, and a way to put files into it."""
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))

    def put(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    return put


def test_a_v2_cgroup_tells_its_cpu_time_and_memory(tree):
    tree("sys/fs/cgroup/job/cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    tree("sys/fs/cgroup/job/memory.current", "5000000000\n")
    tree("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 1000000000\n")
    tree("sys/fs/cgroup/job/cgroup.procs", "1\n")
    target = Target(cgroup="/sys/fs/cgroup/job")
    assert (Cgroup(target).cpu_s(), Cgroup(target).used_gb(), is_alive(target)) == (2.5, 4.0, True)


def test_a_v1_cgroup_tells_its_cpu_time_and_memory(tree):
    tree("sys/fs/cgroup/cpuacct/job/cpuacct.usage", "1500000000\n")
    tree("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "3000000000\n")
    tree("sys/fs/cgroup/memory/job/memory.stat", "total_inactive_file 1000000000\n")
    cgroup = Cgroup(Target(cgroup="/job"))
    assert (cgroup.cpu_s(), cgroup.used_gb()) == (1.5, 2.0)


def test_tokens_and_requests_of_a_server_become_those_of_the_run(watch, bodies):
    server = FakeEngine(VLLM, tokens=1000, prompt=100, requests=5).start()
    with subprocess.Popen(["sleep", "60"]) as target:
        watching = watch("--pid", str(target.pid), "--model", "llama", "--metrics", server.url)
        deadline = time.monotonic() + 20
        while not server.headers and time.monotonic() < deadline:
            time.sleep(0.05)
        server.tokens, server.prompt, server.requests = 1600, 180, 9
        time.sleep(1.5)
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=30)
        target.kill()
    server.stop()
    assert watching.returncode == 0
    metrics = {row["name"]: row["value"] for body in bodies() for row in body.get("metrics", [])}
    assert metrics == {"tokens": 2 * 600, "prompt_tokens": 80}
    (calls,) = next(body["calls"] for body in reversed(bodies()) if "calls" in body)
    assert (calls["method"], calls["calls"], calls["items"]) == ("requests", 4, 4)


def test_a_run_says_why_the_servers_counters_could_not_be_read(watch, bodies):
    with subprocess.Popen(["sleep", "2"]) as target:
        watching = watch("--pid", str(target.pid), "--metrics", "http://127.0.0.1:9/metrics")
        target.wait()
        watching.communicate(timeout=30)
    assert watching.returncode == 0
    (row,) = bodies()[-1]["left_out"]
    assert row["what"] == "tokens and requests of the server"
    assert "refused" in row["reason"]


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/metrics", "http://user:secret@127.0.0.1/metrics"])
def test_an_address_that_is_none_is_refused(watch, url):
    watching = watch("--pid", str(os.getpid()), "--metrics", url)
    _, said = watching.communicate(timeout=30)
    assert watching.returncode == 2
    assert "--metrics must look like" in said
    assert "secret" not in said


def test_a_token_is_not_sent_unencrypted_to_another_machine(watch, monkeypatch):
    monkeypatch.setenv("TRACEML_AGENT_METRICS_TOKEN", "secret")
    watching = watch("--pid", str(os.getpid()), "--metrics", "http://192.0.2.1/metrics")
    _, said = watching.communicate(timeout=30)
    assert watching.returncode == 2
    assert "use https" in said
