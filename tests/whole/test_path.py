"""The whole path: a tracked process of its own, its spool, the wire, the rows, the figure."""

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from pytest_django.live_server_helper import LiveServer

from runs.models import Batch, DailyUsage, Device, Run
from tests import people as cast
from traceml_agent import catalogue, estimation
from traceml_agent.spool import recording

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]

TRAINING = """
    import sys
    from traceml_agent import track, watch

    with track("digits", kind="training", params={"hidden": 64}) as run:
        for epoch in run.epochs(range(3)):
            sum(range(4_000_000))
            run.log(loss=1 / (epoch + 1))
        model = watch(sorted)
        model([3, 1, 2])
    print("trained")
    sys.exit(7)
"""


@pytest.fixture
def token(people):
    return cast.token(people.project)


@pytest.fixture
def train(tmp_path, token):
    """Trains under the agent against a portal; the training's exit code and output are its own."""

    def run(url, code=TRAINING, **environment):
        settings = {
            "TRACEML_AGENT_URL": url,
            "TRACEML_AGENT_TOKEN": token,
            "TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"),
            "TRACEML_AGENT_FLUSH_S": "20",
            "HOME": str(tmp_path),
        }
        words = [sys.executable, "-c", textwrap.dedent(code)]
        return subprocess.run(
            words, env=os.environ | settings | environment, capture_output=True, text=True, timeout=90, check=False
        )

    return run


@pytest.fixture
def sync(tmp_path, token):
    def run(url, folder="spool"):
        settings = {
            "TRACEML_AGENT_URL": url,
            "TRACEML_AGENT_TOKEN": token,
            "TRACEML_AGENT_SPOOL_DIR": str(tmp_path / folder),
            "HOME": str(tmp_path),
        }
        words = [sys.executable, "-m", "traceml_agent", "sync", "--json"]
        done = subprocess.run(words, env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, json.loads(done.stdout or "{}")

    return run


def energy_of_spool_j(folder) -> float:
    """The last counters in the spool, put through estimation."""
    (file,) = folder.glob("*.spool")
    bodies = [record["body"] for _, record in recording.read(str(file)) if record and record["type"] == "finish"]
    total_j = 0.0
    for sample in bodies[-1]["samples"]:
        device = next(d for d in bodies[-1]["devices"] if d["key"] == sample["device"])
        facts = estimation.Facts(
            device["kind"],
            sample["elapsed_s"],
            sample["busy_s"],
            sample["energy_j"],
            device["basis"] or None,
            device.get("cores"),
            device.get("threads"),
            device.get("memory_gb"),
            device.get("share", 1.0),
        )
        profile = catalogue.profile_for(device["name"], device["kind"], memory_gb=device.get("memory_gb"))
        total_j += estimation.device_energy(facts, profile).energy_j
    return total_j


def test_a_tracked_training_arrives_and_is_seen(live_server, train, client, people):
    done = train(live_server.url)
    assert (done.returncode, done.stdout) == (7, "trained\n")
    run = Run.objects.get()
    assert (run.state, run.tracked_model.name, run.params) == ("completed", "digits", {"hidden": 64})
    assert f"{live_server.url}/runs/{run.run_id}/" in done.stderr
    assert [stage.name for stage in run.stages.all()] == ["epoch 1", "epoch 2", "epoch 3"]
    assert [(call.method, call.items) for call in run.calls.all()] == [("__call__", 3)]
    assert {device.kind for device in run.devices.all()} >= {"cpu", "ram"}
    client.force_login(people.bob)
    assert str(run.energy_kwh) in client.get(f"/runs/{run.run_id}/").content.decode()
    client.force_login(people.charlie)
    assert client.get(f"/runs/{run.run_id}/").status_code == 404


@pytest.fixture
def later():
    """An address where nobody listens yet, and a way to start the portal there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}"
    started = []
    yield f"http://{place}", lambda: started.append(LiveServer(place))
    for server in started:
        server.stop()


def delivered_by_somebody(sync, url):
    """Sync until nothing waits: the training's own uploader may be at it as well, now that the portal answers."""
    deadline = time.monotonic() + 30
    while sync(url)[1] and time.monotonic() < deadline:
        time.sleep(0.2)


def test_a_portal_that_is_down_changes_nothing_and_what_comes_later_is_exactly_what_the_spool_holds(
    later, train, sync, tmp_path
):
    url, start_portal = later
    done = train(url)
    assert (done.returncode, done.stdout) == (7, "trained\n")
    expected_j = energy_of_spool_j(tmp_path / "spool")
    assert not Run.objects.exists()
    start_portal()
    delivered_by_somebody(sync, url)
    run = Run.objects.get()
    assert run.energy_kwh == pytest.approx(expected_j / 3.6e6, rel=1e-9)
    assert list((tmp_path / "spool").glob("*.spool")) == []


def rows():
    """Everything that an upload may change."""
    run = Run.objects.values("energy_kwh", "emissions_kg", "measured_kwh", "duration_s", "status", "usage").get()
    devices = list(Device.objects.order_by("key").values("key", "elapsed_s", "busy_s", "energy_j", "energy_kwh"))
    usage = list(DailyUsage.objects.order_by("pk").values("runs", "device_s", "energy_kwh", "emissions_kg"))
    return run, devices, usage, Batch.objects.count()


def test_what_is_delivered_ten_times_changes_nothing(later, train, sync, tmp_path):
    url, start_portal = later
    train(url, TRACEML_AGENT_TOKEN="")  # no token: nothing but `sync` delivers
    start_portal()
    seen = []
    for number in range(10):
        shutil.copytree(tmp_path / "spool", tmp_path / f"copy-{number}")
        assert sync(url, f"copy-{number}") == (0, {"delivered": 1})
        seen.append(rows())
    assert seen == 10 * [seen[0]]


def test_a_token_that_the_portal_does_not_know_changes_nothing_and_keeps_the_spool(live_server, train, tmp_path):
    done = train(live_server.url, TRACEML_AGENT_TOKEN="tml_000000000000_" + "x" * 43)
    assert (done.returncode, done.stdout) == (7, "trained\n")
    assert "token" in done.stderr
    assert len(list((tmp_path / "spool").glob("*.spool"))) == 1


def test_several_runs_of_one_process_all_arrive_without_a_word(live_server, train):
    code = """
        from traceml_agent import track
        for number in range(3):
            with track(f"model {number}"):
                pass
    """
    done = train(live_server.url, code)
    assert sorted(Run.objects.values_list("tracked_model__name", "status")) == [
        (f"model {number}", "completed") for number in range(3)
    ]
    assert len(done.stderr.splitlines()) == 6, done.stderr  # of each the link at its start, the figures at its end
