"""AMD by amdsmi and Apple by zeus-apple-silicon: both are extras, and absent is normal."""

import sys
import types

import pytest

from tests.fakes import amdsmi
from traceml_agent import host, sensors
from traceml_agent.sensors import amd, apple


def card(name="AMD Instinct MI300X", ticks=1_000_000, power_w=120, percent=50, serial="0xabc"):
    return {"name": name, "serial": serial, "ticks": ticks, "power_w": power_w, "percent": percent}


@pytest.fixture
def cards(monkeypatch, tmp_path):
    """Lays down the cards that amdsmi shows, on a machine with the driver."""
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    for name in ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi)

    def show(*laid):
        monkeypatch.setattr(amdsmi, "CARDS", list(laid))

    return show


def found(scope="job"):
    return list(amd.probe(scope, host.Target()))


def test_the_accumulator_gives_joules(cards):
    cards(card(ticks=1_000_000))
    (sensor,) = found()
    before = sensor.read()
    cards(card(ticks=3_000_000))
    assert sensor.read().energy_j - before.energy_j == pytest.approx(2 * 15.3)
    assert (sensor.facts["name"], sensor.facts["uuid"], sensor.facts["basis"]) == (
        "AMD Instinct MI300X",
        "uuid-0",
        "counter",
    )


def test_without_an_accumulator_power_is_read(cards):
    cards(card(ticks=None))
    (sensor,) = found()
    assert (sensor.facts["basis"], sensor.read().power_w, sensor.read().busy_share) == ("sensor", 120.0, 0.5)


def test_not_available_is_no_reading_and_never_zero(cards):
    cards(card(ticks=None, power_w="N/A", percent="N/A"))
    (sensor,) = found()
    assert (sensor.facts["basis"], sensor.read().busy_share) == ("", None)


@pytest.mark.parametrize(
    ("environment", "seen"),
    [
        ({"HIP_VISIBLE_DEVICES": "2,0"}, [2, 0]),
        ({"ROCR_VISIBLE_DEVICES": "1,2", "HIP_VISIBLE_DEVICES": "1"}, [2]),
        ({"ROCR_VISIBLE_DEVICES": "GPU-abc2"}, [2]),
        ({"HIP_VISIBLE_DEVICES": ""}, []),
        ({"HIP_VISIBLE_DEVICES": "1,9,0"}, [1]),
    ],
)
def test_the_visible_cards_are_those_that_the_runtimes_see(cards, monkeypatch, environment, seen):
    cards(*(card(serial=f"0xabc{number}") for number in range(3)))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert [sensor.facts["key"] for sensor in found()] == [f"gpu-{number}" for number in seen]
    assert len(found("machine")) == 3


def test_two_dies_of_one_card_are_counted_once(cards):
    cards(card("AMD Instinct MI250X"), card("AMD Instinct MI250X", ticks=0))
    (sensor,) = found()
    assert (sensor.facts["key"], sensor.facts["basis"]) == ("gpu-0", "counter")


def test_one_die_of_two_takes_half_of_the_counter_and_says_so(cards, monkeypatch):
    cards(card("AMD Instinct MI250X", ticks=1_000_000), card("AMD Instinct MI250X", ticks=0))
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "1")
    (sensor,) = found()
    assert (sensor.facts["basis"], "estimate" in sensor.facts["note"]) == ("sensor", True)
    assert sensor.read().energy_j == pytest.approx(15.3 / 2)


def test_an_apu_replaces_its_cpu(cards):
    cards(card("AMD Instinct MI300A"))
    assert found()[0].replaces == ("cpu-0",)


def test_a_broken_library_is_one_warning_and_the_run_goes_on(cards, monkeypatch, caplog):
    broken = types.ModuleType("amdsmi")
    broken.amdsmi_init = lambda: 1 / 0
    monkeypatch.setitem(sys.modules, "amdsmi", broken)
    assert list(sensors.of_accelerators()) == []
    assert [record.message for record in caplog.records] == [
        "TraceML: amd can't be read (ZeroDivisionError: division by zero)"
    ]


def test_where_nothing_is_installed_there_is_nothing(monkeypatch, cards):
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    assert found() == []
    assert list(apple.probe("job", host.Target())) == []


def test_apples_chip_gives_gpu_cpu_and_memory_in_joules(monkeypatch):
    class AppleEnergyMonitor:
        def get_cumulative_energy(self):
            counters = {"cpu_total_mj": 9000, "gpu_mj": 4000, "gpu_sram_mj": None, "ane_mj": 500, "dram_mj": 1500}
            return types.SimpleNamespace(**counters)

    module = types.ModuleType("zeus_apple_silicon")
    module.AppleEnergyMonitor = AppleEnergyMonitor
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", module)
    monkeypatch.setattr(sys, "platform", "darwin")
    parts = list(apple.probe("job", host.Target()))
    assert [part.read().energy_j for part in parts] == [4.5, 9.0, 1.5]
    assert [part.replaces for part in parts] == [(), ("cpu-0",), ("ram",)]
