"""Apple Silicon by zeus-apple-silicon, an extra, on a machine without /proc."""

import sys
import types

import pytest

from traceml_agent.host import processes
from traceml_agent.host.allocation import Target
from traceml_agent.measuring.meter import Meter
from traceml_agent.sensors import apple, cpu, discovery

MJ = {"cpu_total_mj": 9_000_000, "gpu_mj": 4_000_000, "gpu_sram_mj": None, "ane_mj": 500_000, "dram_mj": 1_500_000}


@pytest.fixture
def chip(monkeypatch, tmp_path):
    """Sets the chip's counters in mJ."""
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    monkeypatch.setattr(processes, "_trees", {})
    counters = dict(MJ)

    class AppleEnergyMonitor:
        def get_cumulative_energy(self):
            return types.SimpleNamespace(**counters)

    module = types.ModuleType("zeus_apple_silicon")
    module.AppleEnergyMonitor = AppleEnergyMonitor
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", module)
    return counters.update


def found(scope="job"):
    return list(apple.probe(scope, Target()))


def test_the_chips_counters_take_the_place_of_what_was_estimated(chip):
    parts = found()
    assert [(part.facts["key"], part.facts["basis"], part.replaces) for part in parts] == [
        ("gpu-0", "counter", ()),
        ("cpu-0", "split", ("cpu-0",)),
        ("ram", "split", ("ram",)),
    ]
    assert {part.facts["key"] for part in discovery.of_host()} == {"cpu-0", "ram"}


def test_gpu_and_neural_engine_are_counted_in_joules(chip):
    gpu = found()[0]
    before = gpu.read()
    chip(gpu_mj=4_030_000, ane_mj=501_000)
    assert gpu.read().energy_j - before.energy_j == 31.0


def test_the_whole_machines_cpu_is_the_counters(chip):
    part = next(part for part in found("machine") if part.facts["kind"] == "cpu")
    before = part.read()
    chip(cpu_total_mj=9_050_000)
    assert (part.read().energy_j - before.energy_j, part.facts["method"]) == (50.0, "Apple energy counter")


def test_of_the_cpu_an_idle_job_takes_its_part_of_idle_power_alone(chip, monkeypatch):
    machine_s = iter([0.0, 0.0, 64.0])
    monkeypatch.setattr(cpu, "machine_cpu_s", lambda: next(machine_s))
    part = found()[1]
    before = part.read().energy_j
    chip(cpu_total_mj=99_000_000)  # strangers'
    assert part.read().energy_j - before < 0.01 * 90_000


def test_memory_takes_the_part_that_the_job_uses(chip):
    part = found()[2]
    before = part.read()
    chip(dram_mj=2_500_000)
    assert 0 < part.read().energy_j - before.energy_j < 1000


def test_a_chip_without_a_counter_keeps_the_estimate(chip):
    chip(cpu_total_mj=None, dram_mj=None)
    assert [part.facts["key"] for part in found()] == ["gpu-0"]


def test_a_counter_that_vanishes_is_no_reading(chip):
    meter = Meter(found()[0])
    chip(gpu_mj=None, ane_mj=None)
    meter.read(1.0)
    assert (meter.failures, meter.energy_j) == (1, 0.0)


def test_where_nothing_is_installed_there_is_nothing(chip, monkeypatch):
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", None)
    assert found() == []


def test_linux_has_no_such_chip(chip, tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/stat").touch()
    assert found() == []


def test_of_the_chips_gpu_no_utilisation_is_known(chip):
    meter = Meter(found()[0])
    for number in range(3):
        chip(gpu_mj=4_000_000 + 1000 * number)
        meter.read(1.0)
    assert (meter.energy_j, meter.busy_s) == (2.0, None)
    assert meter.sample(0.0)["busy_s"] is None


def test_a_gpu_counter_that_the_chip_does_not_fill_is_told_of(chip, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(apple.time, "monotonic", lambda: clock[0])
    gpu = found()[0]
    for clock[0] in (0.0, 30.0, 61.0):
        gpu.read()
    assert (gpu.trouble, apple.STILL in gpu.facts["note"]) == (apple.STILL, True)
