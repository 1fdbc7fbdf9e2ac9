"""CPU time, memory and RAPL: on this machine's own processes, and on built trees of /proc and /sys."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from traceml_agent.host import allocation, cpuinfo, processes, system
from traceml_agent.host.allocation import Target
from traceml_agent.host.processes import Processes, PsutilProcesses
from traceml_agent.sensors import cpu, memory, rapl

BURN = "import time; t = time.process_time()\nwhile time.process_time() - t < {seconds}: pass"


def burn(seconds: float) -> None:
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


@pytest.fixture
def tree():
    return Processes(os.getpid())


def test_cpu_time_of_this_process_is_counted(tree):
    before = tree.cpu_s()
    burn(0.2)
    assert 0.19 < tree.cpu_s() - before < 0.5  # another test's pool may have ended meanwhile


def test_memory_is_read_on_where_the_job_closed_all_descriptors_and_opened_others(tree):
    before_gb = tree.used_gb()
    with Path(__file__).open("rb") as another:
        os.dup2(another.fileno(), tree._statm.number)
    assert tree.used_gb() == pytest.approx(before_gb, rel=0.1)


def test_a_descriptor_that_is_another_files_by_now_is_neither_read_nor_closed(tree, tmp_path):
    """As where a daemon closes all descriptors and then opens files of its own, some of which may hold numbers."""
    tree.used_gb()
    number, kept = tree._statm.number, tree._statm
    os.close(number)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, number)
    os.write(number, b"7 7 7")
    assert tree.used_gb() > 0.01
    kept.close()
    os.lseek(number, 0, os.SEEK_SET)
    assert os.read(number, 9) == b"7 7 7"
    for descriptor in {theirs, number}:
        os.close(descriptor)


def test_a_forked_child_keeps_none_of_its_parents_descriptors(monkeypatch):
    monkeypatch.setattr(processes, "_trees", {})
    tree = processes.processes()
    tree.used_gb()
    number = tree._statm.number
    child = os.fork()
    if not child:
        try:
            os.fstat(number)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert tree._statm.is_ours


def test_cpu_time_of_children_that_ended_is_kept(tree):
    before = tree.cpu_s()
    for _ in range(3):  # as workers that are made anew every epoch
        subprocess.run([sys.executable, "-c", BURN.format(seconds=0.2)], check=True)
    assert tree.cpu_s() - before >= 0.6


def test_cpu_time_of_a_living_grandchild_is_counted(tree):
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '''{BURN.format(seconds=0.3)}\ninput()'''])"
    others = set(tree.descendants())  # another test's pool, say
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    before, deadline = tree.cpu_s(), time.monotonic() + 30
    while tree.cpu_s() - before < 0.3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tree.cpu_s() - before >= 0.3
    assert len(tree.descendants() - others) == 2
    child.communicate(b"\n")


def test_cpu_time_never_falls(tree):
    values = []
    for _ in range(5):
        child = subprocess.Popen([sys.executable, "-c", BURN.format(seconds=0.05)])
        values += [tree.cpu_s(), child.wait() or tree.cpu_s()]
    assert values == sorted(values)


def test_without_proc_children_that_ended_count_as_well(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    tree = PsutilProcesses(os.getpid())
    before = tree.cpu_s()
    subprocess.run([sys.executable, "-c", BURN.format(seconds=0.2)], check=True)
    assert tree.cpu_s() - before > 0.19  # told in hundredths
    assert tree.used_gb() > 0.01


def test_memory_is_what_the_processes_hold(tree):
    before = tree.used_gb()
    block = bytearray(os.urandom(1)) * 200_000_000
    assert tree.used_gb() - before == pytest.approx(0.2, abs=0.03)
    del block


def test_memory_that_forked_children_share_is_not_counted_for_each(tree):
    block = bytearray(os.urandom(1)) * 100_000_000
    children = [os.fork() or os._exit(time.sleep(3) or 0) for _ in range(2)]
    assert tree.used_gb() <= system.memory_info("MemTotal") - system.memory_info("MemAvailable")
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
    del block


def test_only_packages_and_dram_are_energy_of_their_own(powercap):
    powercap("intel-rapl:0", "package-0", 1_000)
    powercap("intel-rapl:0:0", "core", 900)
    powercap("intel-rapl:0:1", "uncore", 10)
    powercap("intel-rapl:0:2", "dram", 300)
    powercap("intel-rapl:1", "psys", 5_000)
    powercap("intel-rapl-mmio:0", "package-0", 1_000)
    assert [zone.folder.rpartition("/")[2] for zone in rapl.zones("package")] == ["intel-rapl:0"]
    assert [zone.folder.rpartition("/")[2] for zone in rapl.zones("dram")] == ["intel-rapl:0:2"]


def test_two_sockets_have_two_zones_of_one_name_even_below_their_packages(powercap):
    for socket in (0, 1):
        powercap(f"intel-rapl:{socket}", f"package-{socket}", 1_000_000 * (socket + 1))
        powercap(f"intel-rapl:{socket}/intel-rapl:{socket}:0", "dram", 70_000 * (socket + 3))
    assert (len(rapl.zones("package")), len(rapl.zones("dram"))) == (2, 2)


def test_a_zone_that_mirrors_another_is_left_out(powercap):
    powercap("intel-rapl:0", "package-0", 123_456)
    powercap("intel-rapl:1", "package-1", 123_456)
    assert len(rapl.zones("package")) == 1


def test_a_counter_that_wraps_goes_on(powercap):
    powercap("intel-rapl:0", "package-0", 65_000_000_000, range_uj=65_532_610_987)
    (zone,) = rapl.zones("package")
    powercap("intel-rapl:0", energy_uj=100_000_000)
    assert zone.energy_j() == pytest.approx(632.610987)


def test_a_failed_read_is_no_reading_and_the_next_one_has_it_all(powercap):
    file = powercap("intel-rapl:0", "package-0", 0)
    zones = rapl.zones("package")
    file.unlink()
    with pytest.raises(OSError):
        rapl.total_j(zones)
    powercap("intel-rapl:0", energy_uj=7_000_000)
    assert rapl.total_j(zones) == 7.0


@pytest.mark.parametrize("text", ["", "nonsense", "nan", "inf"])
def test_what_is_no_number_is_no_reading(powercap, text):
    powercap("intel-rapl:0", "package-0", 0)
    zones = rapl.zones("package")
    powercap("intel-rapl:0", energy_uj=text)
    with pytest.raises(ValueError, match="invalid literal"):
        rapl.total_j(zones)
    powercap("intel-rapl:0", energy_uj=7_000_000)
    assert rapl.total_j(zones) == 7.0


def test_an_unreadable_counter_is_named_with_its_remedy(powercap, monkeypatch):
    file = powercap("intel-rapl:0", "package-0", 0)
    file.unlink()
    (sensor,) = cpu.probe("job", Target())
    assert sensor.facts["basis"] == ""
    assert "udevadm" in sensor.facts["note"]
    assert "a+r" not in sensor.facts["note"]


def test_the_whole_machines_energy_is_the_counters(powercap):
    powercap("intel-rapl:0", "package-0", 0)
    (sensor,) = cpu.probe("machine", Target())
    before = sensor.read()
    powercap("intel-rapl:0", energy_uj=50_000_000)
    assert sensor.read().energy_j - before.energy_j == 50
    assert (sensor.facts["basis"], sensor.facts["method"]) == ("counter", "RAPL")


@pytest.fixture
def ten_seconds(powercap, monkeypatch):
    """1,000 J and 64 s of the machine's CPU in ten seconds, as a job sees them that holds a part and used `cpu_s`."""

    def job_j(held, cpu_s):
        powercap("intel-rapl:0", "package-0", 0)
        machine_s, clock = iter([0.0, 0.0, 64.0]), iter([0.0, 0.0, 10.0])
        monkeypatch.setattr(cpu, "machine_cpu_s", lambda: next(machine_s))
        monkeypatch.setattr(cpu.time, "monotonic", lambda: next(clock))
        processor = cpuinfo.Processor("AMD EPYC 7742 64-Core Processor", 1, 64, 128)
        packages = cpu.Packages(rapl.zones("package"), processor, held, whole=False)
        packages.job_j(0.0)
        powercap("intel-rapl:0", energy_uj=1_000_000_000)
        return packages.job_j(cpu_s)

    return job_j


IDLE_W = 0.15 * 225


def test_of_a_counter_an_idle_job_takes_its_part_of_idle_power_alone(ten_seconds):
    """Half of the threads are the job's, and strangers did all the work."""
    assert ten_seconds(held=0.5, cpu_s=0.0) == pytest.approx(0.5 * 10 * IDLE_W)


def test_of_a_counter_a_busy_job_takes_what_is_above_idle_by_its_cpu_time(ten_seconds):
    assert ten_seconds(held=1.0, cpu_s=16.0) == pytest.approx(10 * IDLE_W + (1000 - 10 * IDLE_W) / 4)


def test_ranks_that_read_the_same_counter_take_parts_that_add_up(ten_seconds):
    assert sum(ten_seconds(held=0.25, cpu_s=16.0) for _ in range(4)) == pytest.approx(1000)


def test_dram_replaces_the_estimate_of_memory(powercap):
    powercap("intel-rapl:0/intel-rapl:0:0", "dram", 0)
    powercap("intel-rapl:0", "package-0", 0)
    (sensor,) = memory.probe("machine", Target())
    sensor.read()
    powercap("intel-rapl:0/intel-rapl:0:0", energy_uj=3_000_000)
    assert (sensor.facts["basis"], sensor.read().energy_j) == ("counter", 3.0)


def test_a_job_with_an_allocation_holds_all_of_it(powercap, monkeypatch):
    monkeypatch.setattr(allocation, "allocated_gb", lambda target: 4.0)
    (sensor,) = memory.probe("job", Target())
    assert (sensor.facts["memory_gb"], sensor.read().busy_share) == (4.0, 1.0)
