"""NVIDIA GPUs whose counter or power sensor says 0, stops, or tells no utilisation: unknown is never taken for 0."""

import os

import pytest

from tests.fakes.nvml import found, gpu
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.measuring.meter import Meter
from traceml_agent.sensors import source


@pytest.fixture
def metered(gpus, monkeypatch):
    """A meter of the only GPU, read every second; `show` gives the GPU's line for each."""
    clock = [0.0]
    monkeypatch.setattr(source.time, "monotonic", lambda: clock[0])

    def over(seconds, show):
        gpus(show(0))
        meter = Meter(found()[0])
        for clock[0] in range(seconds + 1):
            gpus(show(clock[0]))
            meter.read(1.0)
        return meter

    return over


@pytest.mark.parametrize("stops_at", [0, 36, 100])
def test_a_counter_that_stops_gives_way_to_the_power_sensor(metered, stops_at):
    meter = metered(360, lambda second: gpu(energy=f"{10**6 + 10**6 * min(second, stops_at)}", power="1000000"))
    assert meter.energy_j == pytest.approx(360_000, rel=0.01)
    assert (meter.facts["basis"], meter.facts["method"]) == ("sensor", "NVML power sensor")
    left_out = LeftOut()
    meter.tell(left_out)
    assert [row["reason"] for row in left_out.rows()] == [
        "its energy counter stopped: its power sensor is used from now on"
    ]


def test_a_counter_that_is_refused_from_some_time_on_gives_way_too(metered):
    meter = metered(60, lambda second: gpu(energy="" if second > 20 else f"{10**6 + 10**5 * second}", power="100000"))
    assert meter.energy_j == pytest.approx(6000, rel=0.01)


def test_a_counter_of_zero_is_no_counter(metered):
    assert metered(20, lambda second: gpu(energy="0", power="100000")).energy_j == pytest.approx(2000, rel=0.01)


@pytest.mark.parametrize("power", ["0", "80", "3700000", "4294967295"])
def test_a_power_sensor_without_sense_leaves_the_estimate(metered, power):
    meter = metered(20, lambda second: gpu(energy="", power=power if second else "100000"))
    assert (meter.facts["basis"], meter.energy_j, meter.busy_s) == ("", None, meter.elapsed_s / 2)
    assert meter.elapsed_s >= 14  # what came while it was not yet given up is a gap, and counted
    assert meter.dropped == 5


def test_a_gpu_at_rest_may_draw_next_to_nothing(metered):
    meter = metered(20, lambda second: gpu(energy="", power="80" if second else "9000", used="0"))
    assert (meter.facts["basis"], meter.energy_j) == ("sensor", pytest.approx(4.5 + 20 * 0.08, rel=0.1))


@pytest.mark.parametrize("power", ["", "0", "80"])
def test_a_gpu_that_was_switched_off_draws_nothing(metered, power):
    """A laptop's: its counter rests."""
    meter = metered(60, lambda second: gpu(energy="1000000", power=power, used="0"))
    assert (meter.facts["basis"], meter.energy_j) == ("counter", pytest.approx(0.0, abs=5))


def test_without_any_sensor_the_busy_time_is_not_known(metered):
    meter = metered(20, lambda second: gpu(energy="", power="", used=""))
    assert (meter.facts["basis"], meter.energy_j, meter.busy_s, meter.elapsed_s) == ("", None, None, 20)


def test_of_a_slice_busy_time_is_not_known(metered):
    meter = metered(20, lambda second: gpu(energy=f"{10**6 * (second + 7)}", slices="2,3"))
    assert (meter.energy_j, meter.busy_s) == (pytest.approx(20_000 * 2 / 7), None)


def test_a_limit_of_all_ones_is_none(metered):
    meter = metered(5, lambda second: gpu(energy="").replace("400000", "4294967295"))
    assert (meter.facts["power_limit_w"], meter.energy_j) == (None, 500)


def test_a_split_gpu_whose_counter_stops_says_whose_part_it_is(gpus, monkeypatch):
    monkeypatch.setattr("traceml_agent.sensors.nvidia._driver_may_be_there", lambda: True)
    monkeypatch.setenv("TRACEML_AGENT_ROOT", "/")
    clock = [0.0]
    monkeypatch.setattr(source.time, "monotonic", lambda: clock[0])
    gpus(gpu(energy="1000000", power="100000", on=f"{os.getpid()}:30,1:10"))
    meter = Meter(found()[0])
    for clock[0] in range(60):
        meter.read(1.0)
    assert meter.energy_j == pytest.approx(0.75 * 5900, rel=0.02)
    assert meter.facts["method"] == "NVML power sensor, the job's part"


def test_rows_of_nonsense_are_no_use_of_a_process(gpus):
    gpus(gpu(on="77:2147483632,88:30"))
    assert found()[0]._board.uses() == [(88, 30)]
