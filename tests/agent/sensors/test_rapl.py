"""RAPL: what is possible, what the job's part is, and what is said where the counters stop."""

import pytest

from traceml_agent.host import cpuinfo
from traceml_agent.host.allocation import Target
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.measuring.meter import Meter
from traceml_agent.sensors import cpu, memory, rapl

#: Of the EPYC by its profile.
IDLE_W = 0.15 * 225
LAPTOP = "Intel(R) Core(TM) Ultra 7 165H"  # 28 W base TDP, 115 W in turbo


@pytest.fixture
def turbo(powercap, monkeypatch):
    """A laptop's processor at some watts, read every second; the meter after `seconds` of it."""
    clock = [0.0]
    monkeypatch.setattr(cpu.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(cpuinfo, "processor", lambda: cpuinfo.Processor(LAPTOP, 1, 16, 22))

    def metered(watts, seconds, scope="machine", **constraints):
        powercap("intel-rapl:0", "package-0", 0)
        folder = powercap("intel-rapl:0").parent
        for name, value in constraints.items():
            (folder / name).write_text(f"{value}\n")
        (sensor,) = cpu.probe(scope, Target())
        meter, energy_uj = Meter(sensor), 0.0
        meter.read(1.0)
        for clock[0] in range(1, seconds + 1):
            energy_uj += 1e6 * (watts(clock[0]) if callable(watts) else watts)
            powercap("intel-rapl:0", energy_uj=int(energy_uj))
            meter.read(1.0)
        return meter

    return metered


@pytest.mark.parametrize(
    "constraints",
    [
        {},
        {"constraint_0_max_power_uw": 28_000_000, "constraint_1_max_power_uw": 0},
        {"constraint_0_max_power_uw": 28_000_000, "constraint_1_max_power_uw": 115_000_000},
        {"constraint_0_max_power_uw": "", "constraint_1_max_power_uw": "nonsense"},
    ],
    ids=["none", "the base TDP alone", "with its turbo", "unreadable"],
)
def test_turbo_power_is_measured_whatever_the_base_tdp(turbo, constraints):
    meter = turbo(100, 30, **constraints)
    assert (meter.energy_j, meter.elapsed_s, meter.dropped) == (pytest.approx(3000), 30, 0)


def test_what_no_processor_can_draw_is_dropped_counted_and_said(turbo, caplog):
    meter = turbo(lambda second: 1e6 if second == 10 else 100, 30)
    left_out = LeftOut()
    meter.tell(left_out)
    assert meter.energy_j == pytest.approx(2900)
    (row,) = left_out.rows()
    assert (row["what"], row["count"]) == (f"readings of {LAPTOP}", 1)


def test_the_jobs_part_takes_nothing_of_what_is_impossible(turbo):
    meter = turbo(lambda second: 1e6 if second == 10 else 10, 30, scope="job")
    assert meter.energy_j <= 290
    assert meter.dropped == 1


def test_the_jobs_part_of_a_counter_claims_less_than_the_counter(turbo):
    assert turbo(10, 1, scope="job").facts["basis"] == "split"
    assert turbo(10, 1).facts["basis"] == "counter"


def test_a_server_whose_zone_tells_a_high_limit_is_measured_up_to_it(turbo):
    assert turbo(900, 10, constraint_0_max_power_uw=400_000_000).energy_j == pytest.approx(9000)


@pytest.mark.parametrize("stops_at", [0, 12])
def test_a_counter_that_stands_still_leaves_the_estimate_and_says_so(turbo, stops_at):
    """As in virtual machines that show the host's files."""
    meter = turbo(lambda second: 20 if second <= stops_at else 0, 60)
    assert (meter.facts["basis"], meter.energy_j, meter.elapsed_s) == ("", None, 60)
    assert "stopped" in meter.facts["note"]
    left_out = LeftOut()
    meter.tell(left_out)
    assert any("stopped" in row["reason"] for row in left_out.rows())


def test_a_counter_that_can_not_be_read_any_more_leaves_the_estimate(turbo, powercap):
    meter = turbo(20, 10)
    powercap("intel-rapl:0").unlink()
    for _ in range(6):
        meter.read(1.0)
    assert (meter.facts["basis"], meter.is_lost) == ("", False)


def test_memory_whose_counter_stands_still_is_estimated(powercap, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: clock[0])
    powercap("intel-rapl:0", "package-0", 0)
    powercap("intel-rapl:0/intel-rapl:0:0", "dram", 0)
    (sensor,) = memory.probe("machine", Target())
    meter = Meter(sensor)
    for clock[0] in range(10):
        meter.read(1.0)
    assert (meter.facts["basis"], meter.facts["method"], meter.energy_j) == ("", "allocated GB", None)


@pytest.fixture
def learning(powercap, monkeypatch):
    """Joules of the last of some intervals, as a job is given them that holds a quarter of an EPYC's threads.

    An interval: seconds, W of the package, busy CPU seconds of the machine, CPU seconds of the job.
    """

    def job_j(*intervals):
        now = {"s": 0.0, "uj": 0.0, "machine_s": 0.0, "job_s": 0.0}
        powercap("intel-rapl:0", "package-0", 0)
        monkeypatch.setattr(cpu, "machine_cpu_s", lambda: now["machine_s"])
        monkeypatch.setattr(cpu.time, "monotonic", lambda: now["s"])
        processor = cpuinfo.Processor("AMD EPYC 7742 64-Core Processor", 1, 64, 128)
        packages = cpu.Packages(rapl.zones("package"), processor, 0.25, whole=False)
        given = [packages.job_j(0.0)]
        for seconds, watts, machine_s, job_s in intervals:
            now = {
                "s": now["s"] + seconds,
                "uj": now["uj"] + 1e6 * watts * seconds,
                "machine_s": now["machine_s"] + machine_s,
                "job_s": now["job_s"] + job_s,
            }
            powercap("intel-rapl:0", energy_uj=int(now["uj"]))
            given.append(packages.job_j(now["job_s"]))
        return given[-1] - given[-2]

    return job_j


def test_idle_power_is_learnt_from_a_machine_with_nothing_to_do(learning):
    """A Milan server idles at 90 W, not at the 34 W that its TDP would say."""
    assert learning((10, 90, 0.2, 0.0), (10, 190, 640, 320)) == pytest.approx(0.25 * 900 + 0.5 * 1000)


def test_the_lowest_idle_power_counts(learning):
    seen = [(10, 95, 0.2, 0.0), (10, 80, 0.2, 0.0), (10, 90, 0.2, 0.0)]
    assert learning(*seen, (10, 180, 640, 320)) == pytest.approx(0.25 * 800 + 0.5 * 1000)


def test_less_than_the_profiles_idle_power_is_learnt_of_a_busy_machine_as_well(learning):
    assert learning((10, 20, 60, 0.0), (10, 120, 640, 320)) == pytest.approx(0.25 * 200 + 0.5 * 1000)


def test_what_a_busy_machine_draws_is_not_its_idle_power(learning):
    profiles_j = 10 * IDLE_W
    busy = (10, 200, 640, 320)
    assert learning(busy, busy) == pytest.approx(0.25 * profiles_j + 0.5 * (2000 - profiles_j))


def test_over_a_moment_nothing_is_learnt(learning):
    profiles_j = 10 * IDLE_W
    assert learning((0.01, 5, 0, 0), (10, 200, 640, 320)) == pytest.approx(
        0.25 * profiles_j + 0.5 * (2000 - profiles_j)
    )


@pytest.mark.parametrize("name", ["package-1", "dram"])
def test_where_one_of_several_counters_can_not_be_read_none_passes_for_all(powercap, name):
    powercap("intel-rapl:0", name.replace("1", "0"), 1000)
    powercap("intel-rapl:1", name)
    assert rapl.zones(name[:7]) == []


def test_a_socket_whose_counter_is_not_readable_is_named_with_the_remedy(powercap):
    powercap("intel-rapl:0", "package-0", 1000)
    powercap("intel-rapl:1", "package-1")
    (sensor,) = cpu.probe("job", Target())
    assert (sensor.facts["basis"], sensor.facts["note"]) == ("", rapl.REMEDY)
