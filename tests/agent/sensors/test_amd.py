"""AMD GPUs by amdsmi, an extra: absent is normal, and not everything that a counter tells is true."""

import os
import sys

import pytest

from tests.fakes import amdsmi
from traceml_agent.host.allocation import Target
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.measuring.meter import Meter
from traceml_agent.sensors import amd, source


def card(number=0, name="AMD Instinct MI300X", ticks=1_000_000, power_w=120, **more):
    told = {"name": name, "serial": f"0x{0xABC0 + number:016X}", "uuid": f"uuid-{number}", "hip_id": number}
    return told | {"ticks": ticks, "power_w": power_w, "percent": 50, "cap_uw": 750_000_000, "pids": []} | more


@pytest.fixture
def cards(monkeypatch, tmp_path):
    """Lays down the cards that amdsmi shows, on a machine with driver and library."""
    for place in ("sys/module/amdgpu", "rocm/lib", "proc"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "rocm/lib" / amd.LIBRARY).touch()
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    monkeypatch.setenv("ROCM_PATH", str(tmp_path / "rocm"))
    for name in ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "ROCM_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi)
    monkeypatch.setattr("traceml_agent.messages._said", {})
    monkeypatch.setattr("traceml_agent.host.processes._trees", {})

    def show(*laid):
        monkeypatch.setattr(amdsmi, "CARDS", list(laid))

    return show


def found(scope="job"):
    return list(amd.probe(scope, Target()))


def test_a_card_is_described_as_the_driver_gives_it(cards):
    cards(card())
    told = found()[0].facts
    assert {name: told[name] for name in ("key", "kind", "name", "uuid", "basis", "method", "note")} == {
        "key": "amd-0",  # an NVIDIA GPU beside it is gpu-0
        "kind": "gpu",
        "name": "AMD Instinct MI300X",
        "uuid": "uuid-0",
        "basis": "counter",
        "method": "amdsmi energy counter",
        "note": "",
    }
    assert (told["power_limit_w"], told["memory_gb"]) == (750.0, pytest.approx(68.7, abs=0.1))


def test_the_accumulator_gives_joules(cards):
    cards(card(ticks=1_000_000))
    (sensor,) = found()
    before = sensor.read()
    cards(card(ticks=3_000_000))
    assert sensor.read().energy_j - before.energy_j == pytest.approx(2 * 15.3)


def test_without_an_accumulator_power_is_read(cards):
    cards(card(ticks=None))
    (sensor,) = found()
    assert (sensor.facts["basis"], sensor.read().power_w, sensor.read().busy_share) == ("sensor", 120.0, 0.5)


def test_not_available_is_no_reading_and_never_zero(cards):
    cards(card(ticks=None, power_w="N/A", percent="N/A"))
    (sensor,) = found()
    assert (sensor.facts["basis"], sensor.read().busy_share) == ("", None)


@pytest.mark.parametrize("ticks", [8_152_136, 10**15], ids=["next to nothing in 44 days", "megawatts"])
def test_an_accumulator_that_can_not_be_true_gives_way_to_power(cards, ticks):
    cards(card(ticks=ticks, uptime_ns=3_824_190_842_400_799))
    assert found()[0].facts["method"] == "amdsmi power"


@pytest.fixture
def clock(monkeypatch):
    """Sets the monotonic clock, in seconds."""
    now = [0.0]
    monkeypatch.setattr(source.time, "monotonic", lambda: now[0])
    return now


def metered(seconds, clock, show):
    """A meter of the only card, read every second; `show` lays down the card for each."""
    show(0)
    meter = Meter(found()[0])
    for second in range(seconds + 1):
        clock[0] = float(second)
        show(second)
        meter.read(1.0)
    return meter


@pytest.mark.parametrize("stops_at", [0, 30, 359])
def test_a_counter_that_stops_gives_way_to_the_power_sensor_without_a_gap(cards, clock, stops_at):
    """100 W throughout; the accumulator tells it until it stops."""
    ticks = [1_000_000 + min(second, stops_at) * 100e6 / 15.3 for second in range(361)]
    meter = metered(360, clock, lambda second: cards(card(ticks=ticks[second], power_w=100)))
    assert meter.energy_j == pytest.approx(36_000, rel=0.01)
    is_noticed = stops_at < 350
    assert (meter.facts["basis"], "stopped" in meter.facts["note"]) == (
        ("sensor", True) if is_noticed else ("counter", False)
    )


def test_a_counter_that_is_told_no_more_gives_way_as_well(cards, clock):
    meter = metered(
        60, clock, lambda second: cards(card(ticks=None if second > 9 else 10**6 + second * 10**7, power_w=153))
    )
    assert meter.energy_j == pytest.approx(60 * 153, rel=0.01)
    assert meter.facts["basis"] == "sensor"


def test_a_counter_that_stops_is_counted_and_said_once(cards, clock, caplog):
    meter = metered(60, clock, lambda second: cards(card(ticks=10**6, power_w=100)))
    left_out = LeftOut()
    meter.tell(left_out)
    meter.tell(left_out)
    (row,) = left_out.rows()
    assert (row["what"], row["count"]) == ("AMD Instinct MI300X", 1)
    assert "energy counter stopped" in row["reason"]


def test_without_a_power_sensor_a_counter_that_stops_leaves_the_estimate(cards, clock):
    meter = metered(60, clock, lambda second: cards(card(ticks=10**6 + min(second, 9) * 10**7, power_w="N/A")))
    assert (meter.facts["basis"], meter.energy_j, meter.busy_s, meter.elapsed_s) == ("", None, 30, 60)


def test_a_power_sensor_that_falls_silent_leaves_the_estimate(cards, clock):
    meter = metered(60, clock, lambda second: cards(card(ticks=None, power_w=100 if second < 30 else 0)))
    assert (meter.facts["basis"], meter.energy_j) == ("", None)


def test_an_idle_card_whose_counter_rests_is_no_card_whose_counter_stopped(cards, clock):
    """Its driver switched it off: it draws nothing and is not busy."""
    meter = metered(60, clock, lambda second: cards(card(power_w="N/A", percent=0)))
    assert (meter.facts["basis"], meter.energy_j) == ("counter", 0.0)


@pytest.mark.parametrize("told", [750, 750_000_000], ids=["before ROCm 6.1.2", "since"])
def test_a_power_cap_is_told_in_watts_or_in_microwatts(cards, told):
    cards(card(ticks=None, cap_uw=told, power_w=700))
    (sensor,) = found()
    assert (sensor.facts["power_limit_w"], sensor.read().power_w) == (750.0, 700.0)


@pytest.mark.parametrize("told", ["N/A", 0, None, 0xFFFFFFFF, 2**64 - 1])
def test_a_power_cap_that_is_not_told_drops_no_reading(cards, told):
    cards(card(ticks=None, cap_uw=told, power_w=700))
    (sensor,) = found()
    assert (sensor.facts["power_limit_w"], sensor.read().power_w) == (None, 700.0)


def test_power_that_no_such_card_can_draw_is_no_reading(cards):
    cards(card(ticks=None))
    (sensor,) = found()
    cards(card(ticks=None, power_w=65_000))
    assert sensor.read() is None


def test_a_card_that_vanishes_gives_no_reading(cards):
    cards(card())
    meter = Meter(found()[0])
    cards(card(ticks=None, power_w=None, percent=None))
    meter.read(1.0)
    assert (meter.dropped, meter.energy_j) == (1, 0.0)


@pytest.mark.parametrize(
    ("environment", "listed"),
    [
        ({"HIP_VISIBLE_DEVICES": "2,0"}, [2, 0]),
        ({"ROCR_VISIBLE_DEVICES": "1,2", "HIP_VISIBLE_DEVICES": "1"}, [2]),
        ({"ROCR_VISIBLE_DEVICES": "GPU-000000000000abc2"}, [2]),
        ({"HIP_VISIBLE_DEVICES": ""}, []),
        ({"HIP_VISIBLE_DEVICES": "-1"}, []),
        ({"HIP_VISIBLE_DEVICES": "1,9,0"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "1"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "0"}, [0]),
        ({"HIP_VISIBLE_DEVICES": "6,7"}, [0, 1, 2]),
    ],
)
def test_the_visible_cards_are_those_that_the_runtimes_see(cards, monkeypatch, environment, listed):
    cards(card(0), card(1), card(2))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert {sensor.facts["key"] for sensor in found()} == {f"amd-{number}" for number in listed}
    assert len(found("machine")) == 3


def test_the_runtimes_number_by_the_kernels_nodes_and_not_as_amdsmi_lists(cards, monkeypatch):
    cards(card(0, hip_id=1), card(1, hip_id=0))
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "0")
    assert [sensor.facts["uuid"] for sensor in found()] == ["uuid-1"]


def two_dies():
    return card(0, "AMD Instinct MI250X", percent=80), card(1, "AMD Instinct MI250X", 0, 0, percent=40)


def test_two_dies_of_one_card_are_counted_once(cards):
    cards(*two_dies())
    (sensor,) = found()
    assert (sensor.facts["key"], sensor.facts["basis"], sensor.facts["memory_gb"]) == (
        "amd-0",
        "counter",
        pytest.approx(137.4, abs=0.1),
    )
    assert sensor.read().busy_share == pytest.approx(0.6)


def test_of_two_dies_the_second_may_have_the_sensors(cards):
    first, second = two_dies()
    cards(second, first, card(2, "AMD Instinct MI250X", 0, 0), card(3, "AMD Instinct MI250X"))
    assert [(sensor.facts["key"], sensor.facts["basis"]) for sensor in found()] == [
        ("amd-1", "counter"),
        ("amd-3", "counter"),
    ]


@pytest.mark.parametrize("raw", amd.NOT_TOLD_W)
def test_power_that_a_library_hands_on_as_all_ones_is_not_told(cards, raw):
    cards(card(ticks=None, current_w=raw))
    assert found()[0].read().power_w == 120.0
    first, second = two_dies()
    cards(first | {"current_w": raw}, second | {"current_w": raw, "cap_uw": None})
    assert [sensor.facts["key"] for sensor in found()] == ["amd-0"]


@pytest.mark.parametrize("die", ["0", "1"])
def test_one_die_of_two_takes_half_of_the_counter_and_says_so(cards, monkeypatch, die):
    cards(*two_dies())
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", die)
    (sensor,) = found()
    assert (sensor.facts["uuid"], sensor.facts["basis"], amd.HALF in sensor.facts["note"]) == (
        f"uuid-{die}",
        "sensor",
        True,
    )
    assert sensor.read().energy_j == pytest.approx(15.3 / 2)


def test_partitions_of_a_gpu_share_its_counter_under_uuids_of_their_own(cards, monkeypatch):
    parts = [card(n, serial="0xAB", uuid="same", ticks=None if n else 1_000_000, power_w="N/A") for n in range(4)]
    cards(*parts)
    uuids = set()
    for visible in ("0", "3"):
        monkeypatch.setenv("HIP_VISIBLE_DEVICES", visible)
        (sensor,) = found()
        uuids.add(sensor.facts["uuid"])
        assert sensor.read().energy_j == pytest.approx(15.3 / 4)
    assert uuids == {"same/0", "same/3"}


def test_cards_of_one_model_are_no_dies_of_each_other(cards):
    cards(card(0, "AMD Instinct MI210"), card(1, "AMD Instinct MI210", ticks=None, power_w="N/A"))
    assert [sensor.facts["basis"] for sensor in found()] == ["counter", ""]


def test_what_a_package_holds_is_not_counted_again(cards):
    cards(card(0, "AMD Instinct MI300A"), card(1, "AMD Radeon 780M Graphics"), card(2))
    assert [sensor.replaces for sensor in found()] == [("cpu-0", "ram"), ("cpu-0",), ()]


def test_integrated_graphics_without_a_sensor_stand_in_the_processors_power_alone(cards):
    cards(card(0, "AMD Radeon 780M Graphics", ticks=None, power_w="N/A"))
    assert found() == []


def test_strangers_on_the_card_are_told_of(cards):
    cards(card(pids=[os.getpid(), 4_000_001, 4_000_002]))
    (sensor,) = found()
    sensor.read()
    assert "share is unknown" in sensor.facts["note"]
    assert found("machine")[0].facts["note"] == ""


def test_where_nothing_is_installed_there_is_nothing(monkeypatch, cards, caplog):
    monkeypatch.delitem(sys.modules, "amdsmi")
    assert (found(), caplog.records) == ([], [])


def test_a_job_that_uses_hip_without_amdsmi_is_told_the_remedy(monkeypatch, cards, caplog, tmp_path):
    monkeypatch.delitem(sys.modules, "amdsmi")
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/maps").write_text("7f00-7f01 r-xp 0 08:01 5 /opt/rocm/lib/libamdhip64.so.6\n")
    assert found() == []
    assert [record.getMessage() for record in caplog.records] == [f"TraceML: {amd.REMEDY}"]


def test_without_its_library_amdsmi_is_not_imported_since_that_prints(monkeypatch, cards, caplog, capsys, tmp_path):
    (tmp_path / "rocm/lib" / amd.LIBRARY).unlink()
    monkeypatch.delitem(sys.modules, "amdsmi")
    (tmp_path / "amdsmi.py").write_text("print('Unable to find libamd_smi.so')\nraise KeyError('libamd_smi.so')")
    monkeypatch.syspath_prepend(tmp_path)
    assert (found(), capsys.readouterr().out) == ([], "")
    assert amd.LIBRARY in caplog.records[0].getMessage()
