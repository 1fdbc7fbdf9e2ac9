"""NVIDIA GPUs: pynvml's real code on a fake libnvidia-ml.so.1, compiled here."""

import os
import subprocess
import sys

import pytest

from tests.fakes.nvml import found, gpu, uuids
from traceml_agent.measuring.meter import Meter
from traceml_agent.sensors import nvidia, sharing


def test_a_gpu_is_described_as_the_driver_gives_it(gpus):
    gpus(gpu())
    (sensor,) = found()
    told = {name: sensor.facts[name] for name in ("key", "kind", "name", "uuid", "basis", "method", "power_limit_w")}
    assert told == {
        "key": "gpu-0",
        "kind": "gpu",
        "name": "NVIDIA A100-SXM4-40GB",
        "uuid": "GPU-000-abc",
        "basis": "counter",
        "method": "NVML energy counter",
        "power_limit_w": 400.0,
    }
    assert sensor.facts["memory_gb"] == pytest.approx(42.9, abs=0.1)


@pytest.mark.parametrize(
    ("told", "name"), [("NVIDIA\x07 A100\x1b[0m", "NVIDIA A100[0m"), ("x" * 80, "x" * 80), ("", "unknown gpu")]
)
def test_a_name_that_a_driver_garbled_is_one_that_the_portal_takes(gpus, told, name):
    gpus(gpu(name=told))
    assert found()[0].facts["name"] == name


def test_notes_are_no_longer_than_the_portal_takes(gpus):
    gpus(gpu())
    (sensor,) = found()
    for number in range(200):
        sensor.add_note(f"note {number}")
    assert len(sensor.facts["note"]) == 500


def test_without_a_driver_nothing_is_loaded(gpus, monkeypatch, tmp_path):
    gpus(gpu())
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path / "nowhere"))
    assert found() == []


def test_the_counter_gives_joules(gpus):
    gpus(gpu(energy="1000000"))
    (sensor,) = found()
    before = sensor.read()
    gpus(gpu(energy="1250500"))
    assert sensor.read().energy_j - before.energy_j == pytest.approx(250.5)


def test_without_a_counter_power_is_read(gpus):
    gpus(gpu(energy="", power="250500"))
    (sensor,) = found()
    assert (sensor.facts["basis"], sensor.read().power_w) == ("sensor", 250.5)


def test_without_counter_and_power_utilisation_is_left(gpus):
    gpus(gpu(energy="", power="", used="70"))
    (sensor,) = found()
    reading = sensor.read()
    assert (sensor.facts["basis"], reading.busy_share, reading.energy_j, reading.power_w) == ("", 0.7, None, None)


def test_a_lost_gpu_is_left_out_and_the_others_go_on(gpus):
    gpus(gpu(0), gpu(1))
    lost, kept = map(Meter, found())
    gpus(gpu(0, error="15"), gpu(1))
    for _ in range(5):
        lost.read(1.0)
        kept.read(1.0)
    assert (lost.is_lost, kept.is_lost) == (True, False)


def test_a_driver_that_was_loaded_anew_drops_its_interval_alone(gpus):
    gpus(gpu(energy="9000000"))
    meter = Meter(found()[0])
    meter.read(1.0)
    for energy in ("50000", "60000"):
        gpus(gpu(energy=energy))
        meter.read(1.0)
    assert (meter.energy_j, meter.dropped) == (10, 1)


@pytest.mark.parametrize(
    ("listed", "order", "seen"),
    [
        ("", "", []),
        ("-1", "", []),
        ("0", "", [0]),
        ("2,0", "", [2, 0]),
        ("1,7,0", "", [1]),
        ("GPU-222", "", [2]),
        ("GPU-222-abc,GPU-000", "", [2, 0]),
        ("GPU", "", []),
        ("GPU-999", "", []),
        ("nonsense,0", "", []),
        ("1,1", "", [1]),
    ],
)
def test_the_visible_gpus_are_those_that_cuda_sees(gpus, monkeypatch, listed, order, seen):
    gpus(gpu(0), gpu(1), gpu(2))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert uuids() == [f"GPU-{n}{n}{n}-abc" for n in seen]


def test_the_machines_scope_takes_all_gpus(gpus, monkeypatch):
    gpus(gpu(0), gpu(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert len(uuids("machine")) == 2


def test_in_a_container_that_lists_fewer_gpus_all_listed_are_taken(gpus, monkeypatch):
    gpus(gpu(0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    (sensor,) = found()
    assert "container" in sensor.facts["note"]


def test_an_index_among_different_gpus_is_flagged_unless_the_order_is_set(gpus, monkeypatch):
    gpus(gpu(0), gpu(1, name="NVIDIA T400"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert "CUDA_DEVICE_ORDER" in found()[0].facts["note"]
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert found()[0].facts["note"] == ""


@pytest.fixture
def stranger(tmp_path):
    """A process that is not the job's: its parent is the first one."""
    (tmp_path / "root/proc").mkdir(exist_ok=True)
    code = "import os, time\nparent = os.getpid()\nif os.fork(): os._exit(0)\n"
    code += "while os.getppid() == parent: time.sleep(0.001)\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        yield pid
        os.kill(pid, 9)


@pytest.fixture
def real_proc(gpus, monkeypatch, tmp_path):
    """The GPUs of a test with the real processes below /proc, in which a driver seems to be there."""
    monkeypatch.setattr(nvidia, "_driver_may_be_there", lambda: True)
    monkeypatch.setenv("TRACEML_AGENT_ROOT", "/")
    return gpus


def test_a_gpu_that_strangers_use_is_split_by_each_process_use(real_proc, stranger):
    on = f"{os.getpid()}:30,{stranger}:10"
    real_proc(gpu(energy="1000000", on=on))
    (sensor,) = found()
    before = sensor.read()
    real_proc(gpu(energy="1400000", on=on))
    assert sensor.read().energy_j - before.energy_j == pytest.approx(300)
    assert sensor.facts["basis"] == "sensor"
    assert "split" in sensor.facts["note"]


def test_where_nobody_tells_each_process_use_the_whole_counts_and_says_so(real_proc, stranger):
    on = f"{os.getpid()},{stranger}"
    real_proc(gpu(energy="1000000", on=on))
    (sensor,) = found()
    before = sensor.read()
    real_proc(gpu(energy="1400000", on=on))
    assert sensor.read().energy_j - before.energy_j == pytest.approx(400)
    assert (sensor.facts["basis"], "share is unknown" in sensor.facts["note"]) == ("counter", True)


def test_what_a_shared_gpu_draws_at_rest_is_divided_by_those_that_hold_it(real_proc, stranger, monkeypatch):
    monkeypatch.setattr(sharing, "STILL_BUSY_S", 0.0)
    real_proc(gpu(energy="1000000", on=f"{os.getpid()}:30,{stranger}:10"))
    (sensor,) = found()
    before = sensor.read()
    real_proc(gpu(energy="1400000", on=f"{os.getpid()}:0,{stranger}:0"))
    assert sensor.read().energy_j - before.energy_j == pytest.approx(200)


def test_the_machines_scope_counts_strangers_as_well(real_proc, stranger):
    on = f"{os.getpid()}:30,{stranger}:10"
    real_proc(gpu(energy="1000000", on=on))
    (sensor,) = found("machine")
    before = sensor.read()
    real_proc(gpu(energy="1400000", on=on))
    assert sensor.read().energy_j - before.energy_j == pytest.approx(400)


def test_a_module_whose_power_holds_the_cpus_and_memorys_replaces_them(gpus):
    gpus(gpu(name="NVIDIA GH200 480GB"), gpu(1))
    module, card = found()
    assert (module.replaces, card.replaces) == (("cpu-0", "ram"), ())


def test_utilisation_beside_strangers_is_the_jobs(real_proc, stranger):
    real_proc(gpu(energy="", power="", used="80", on=f"{os.getpid()}:30,{stranger}:10"))
    assert found()[0].read().busy_share == pytest.approx(0.6)


def test_a_gpu_that_was_lost_before_the_start_leaves_the_others(gpus, monkeypatch, caplog):
    gpus("", gpu(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert uuids() == ["GPU-111-abc"]
    assert "GPU 0 can't be read" in caplog.records[0].getMessage()


def test_power_that_no_such_gpu_can_draw_is_no_reading(gpus):
    gpus(gpu(energy=""))
    (sensor,) = found()
    gpus(gpu(energy="", power="4294967295"))
    assert sensor.read() is None


def test_a_driver_that_hangs_costs_two_seconds_and_the_gpu_alone(library, tmp_path):
    state = tmp_path / "gpus"
    state.write_text(gpu(error="hang"))
    code = """
import time
from traceml_agent import start
run = start("x")
time.sleep(0.3)
began = time.perf_counter()
summary = run.stop()
print(time.perf_counter() - began, [device.kind for device in summary.devices], summary.energy_kwh > 0)
"""
    settings = {"LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML": str(state), "HOME": str(tmp_path)}
    settings["TRACEML_AGENT_SPOOL_DIR"] = str(tmp_path / "spool")
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=os.environ | settings, capture_output=True, text=True, timeout=30, check=True)
    took_s, rest = done.stdout.split(maxsplit=1)
    assert float(took_s) < 4
    assert rest == "['cpu', 'ram'] True\n"
    assert len(done.stderr.splitlines()) == 2
