"""NVIDIA GPUs: pynvml's real code on a fake libnvidia-ml.so.1, compiled here."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from traceml_agent import host, messages, sensors
from traceml_agent.sampler import Meter
from traceml_agent.sensors import nvidia, sharing

SOURCE = Path(__file__).parent.parent / "fakes" / "nvml.c"
GIB = 2**30


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None and not os.environ.get("CI"):
        pytest.skip("no C compiler: the fake NVML can't be made")
    assert compiler, "CI needs a C compiler for the fake NVML"
    path = tmp_path_factory.mktemp("nvml") / nvidia.LIBRARY
    words = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{nvidia.LIBRARY}", "-o", path, SOURCE]
    subprocess.run(words, check=True)
    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)  # loaded by this name, pynvml finds it by the same
    return path


@pytest.fixture
def gpus(library, tmp_path, monkeypatch):
    """Writes the GPUs that NVML shows, as lines of the fake; a driver seems to be there."""
    state = tmp_path / "gpus"
    (tmp_path / "root/proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "root/proc/driver/nvidia/version").touch()
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("FAKE_NVML", str(state))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    monkeypatch.setattr(messages, "_said", {})

    def show(*lines):
        state.write_text("".join(f"{line}\n" for line in lines))

    return show


def gpu(
    number=0, name="NVIDIA A100-SXM4-40GB", energy="1000000", power="100000", used="50", slices="", error="", on=""
):
    return f"GPU-{number}{number}{number}-abc|{name}|{40 * GIB}|400000|{energy}|{power}|{used}|{slices}|{error}|{on}"


def found(scope="job"):
    return list(nvidia.probe(scope, host.Target()))


def uuids(scope="job"):
    return [sensor.facts["uuid"] for sensor in found(scope)]


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


def test_a_mig_slice_takes_its_sevenths_of_the_boards_energy_and_says_so(gpus, monkeypatch):
    gpus(gpu(0, energy="7000000", slices="2,3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-000-abc-1")
    (sensor,) = found()
    assert (sensor.facts["share"], sensor.facts["basis"]) == (2 / 7, "sensor")
    assert sensor.read().energy_j == pytest.approx(2000)
    assert "estimate" in sensor.facts["note"]


FIRST, SECOND, WHOLE = "MIG-000-abc-1", "MIG-000-abc-2", "GPU-111-abc"


@pytest.mark.parametrize(
    ("listed", "seen"),
    [
        (None, FIRST),
        ("0", FIRST),
        ("GPU-000-abc", FIRST),
        ("GPU-000", FIRST),
        ("MIG-000-abc-2", SECOND),
        ("MIG-000-abc-2,MIG-000-abc-1", SECOND),
        ("MIG-GPU-000-abc/8/0", SECOND),
        ("MIG-GPU-000/7/0", FIRST),
        ("0,1", FIRST),  # beside a slice CUDA lists no whole GPU
        ("1,0", FIRST),
        ("1", WHOLE),
        ("GPU-111", WHOLE),
        ("", None),
        ("-1", None),
        ("NoDevFiles", None),
        ("MIG-000-abc", None),  # the beginning of two
        ("MIG-000-abc-9", None),
        ("MIG-GPU-000-abc/9/0", None),
        ("MIG-nonsense,0", None),
    ],
)
def test_cuda_gives_a_process_one_slice_however_the_board_is_named(gpus, monkeypatch, listed, seen):
    gpus(gpu(0, slices="2,3"), gpu(1))
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert uuids() == ([seen] if seen else [])


def test_the_first_slice_of_a_board_takes_its_share_of_the_boards_joules(gpus, monkeypatch):
    gpus(gpu(0, energy="7000000", slices="2,3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    (sensor,) = found()
    assert (sensor.facts["key"], sensor.facts["share"]) == ("gpu-0.0", 2 / 7)
    assert sensor.read().energy_j == pytest.approx(2000)


def test_a_slice_of_a_card_of_four_is_a_quarter(gpus):
    gpus(gpu(name="NVIDIA A30", slices="1,1,2"))
    assert found()[0].facts["share"] == 1 / 4


def test_of_a_slice_no_utilisation_is_known(gpus):
    gpus(gpu(used="50", slices="2,3"))
    assert found()[0].read().busy_share is None


def test_a_board_with_mig_on_and_no_slice_is_named_as_not_measured(gpus):
    gpus(gpu(slices="0"))
    assert list(sensors.of_accelerators()) == []
    assert [what for what, _ in sensors.unmeasured()] == ["NVIDIA GPU"]


def test_the_whole_machine_takes_the_whole_board_of_slices(gpus):
    gpus(gpu(energy="7000000", slices="2,3"))
    (sensor,) = found("machine")
    assert (sensor.facts["key"], sensor.read().energy_j) == ("gpu-0", 7000)


@pytest.fixture
def stranger(tmp_path):
    """A process that is not the job's: its parent is the first one."""
    (tmp_path / "root/proc").mkdir(exist_ok=True)
    code = "import os, time\nif os.fork(): os._exit(0)\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
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
    assert (sensor.facts["basis"], "not known" in sensor.facts["note"]) == ("counter", True)


def test_what_a_shared_gpu_draws_while_nobody_is_busy_is_nobodys(real_proc, stranger, monkeypatch):
    monkeypatch.setattr(sharing, "STILL_BUSY_S", 0.0)
    real_proc(gpu(energy="1000000", on=f"{os.getpid()}:30,{stranger}:10"))
    (sensor,) = found()
    before = sensor.read()
    real_proc(gpu(energy="1400000", on=f"{os.getpid()}:0,{stranger}:0"))
    assert sensor.read().energy_j == before.energy_j


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


class OldPynvml:
    """pynvml without some of its functions, as nvidia-ml-py3 and other packages put it in the same place."""

    def __init__(self, *missing):
        self._missing = missing

    def __getattr__(self, name):
        if name.startswith(self._missing):
            raise AttributeError(f"module 'pynvml' has no attribute '{name}'")
        return getattr(pynvml, name)


#: What nvidia-ml-py3 7.352.0, of 2019, does not have.
SINCE_2019 = (
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetProcessUtilization",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetMaxMigDeviceCount",
    "nvmlDeviceGetMigDeviceHandleByIndex",
    "nvmlDeviceGetAttributes",
)


@pytest.fixture
def old(gpus, monkeypatch):
    """A GPU, and a way to take functions away from pynvml."""
    gpus(gpu(power="250500"))
    return lambda *missing: monkeypatch.setitem(sys.modules, "pynvml", OldPynvml(*missing))


def test_with_an_old_pynvml_a_gpu_is_measured_by_what_is_there_and_the_remedy_told(old, caplog):
    old(*SINCE_2019)
    (sensor,) = found()
    assert (sensor.facts["basis"], sensor.read().power_w) == ("sensor", 250.5)
    assert "pip uninstall -y nvidia-ml-py3" in sensor.facts["note"]
    assert len(caplog.records) == 1


ASKED = set(re.findall(r"nvmlDeviceGet\w+", Path(nvidia.__file__).read_text())) - {"nvmlDeviceGet"}


@pytest.mark.parametrize("missing", sorted(ASKED - {"nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"}))
def test_no_single_function_that_is_missing_costs_the_gpu(old, missing):
    old(missing)
    (sensor,) = found()
    assert sensor.read() is not None


@pytest.mark.parametrize(
    "missing", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvml", "NVMLError"]
)
def test_another_module_of_that_name_is_one_warning_with_the_remedy(old, caplog, missing):
    old(missing)
    assert list(sensors.of_accelerators()) == []
    (said,) = [record.getMessage() for record in caplog.records]
    assert "pip install --force-reinstall nvidia-ml-py" in said
    assert [what for what, _ in sensors.unmeasured()] == ["NVIDIA GPU"]


def test_names_may_be_bytes(old, monkeypatch):
    class Bytes(OldPynvml):
        def nvmlDeviceGetName(self, handle):
            return pynvml.nvmlDeviceGetName(handle).encode()

        def nvmlDeviceGetUUID(self, handle):
            return pynvml.nvmlDeviceGetUUID(handle).encode()

    monkeypatch.setitem(sys.modules, "pynvml", Bytes("no such"))
    assert (found()[0].facts["name"], uuids()) == ("NVIDIA A100-SXM4-40GB", ["GPU-000-abc"])
