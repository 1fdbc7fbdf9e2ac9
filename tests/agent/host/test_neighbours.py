"""What part of a host, a process or a device is each run's: by the names of the holds, whoever laid them down."""

import os
import time
from pathlib import Path

import pytest

from traceml_agent.host import endings, holds, neighbours
from traceml_agent.host.allocation import Target
from traceml_agent.host.holds import FOR_EVER, MACHINE, HoldRecord, record_of
from traceml_agent.host.neighbours import ALL, HOST, Neighbours, Shares
from traceml_agent.inputs import config
from traceml_agent.measuring.meter import Meter
from traceml_agent.sensors.sensor import Reading, Sensor, facts


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """A host without other runs."""
    monkeypatch.setattr(holds, "boards_folder", lambda: str(tmp_path))
    monkeypatch.setattr(holds, "_here", None)


def place(run: str = "run-1", outer: str = "", **settings) -> Neighbours:
    given = config.load(url="http://127.0.0.1:9", token="tml_x", **settings)
    return Neighbours(run, f"w-{os.getpid():x}-{int(endings.own_beginning()):x}-{run}", given, Target(), outer)


def another(like: neighbours.Hold, run: str, **changes) -> HoldRecord:
    """A hold of another process, of which only a file is known."""
    parent = os.getppid()
    writer = f"w-{parent:x}-{int(endings.began_at(parent)):x}-{run}"
    record = like.record._replace(writer=writer, run=run, root=f"{parent:x}-9", **changes)
    Path(holds.of_this_host().place, record.name).touch()
    holds.of_this_host()._changed_ns = -1
    return record


def held(hold: neighbours.Hold, since: float = 0.0, until: float = 10.0) -> Shares:
    hold._last = 0.0, 0.0, ALL
    return hold.part(since, until)


def test_a_hold_is_all_in_its_name():
    record = HoldRecord(HOST, "w-1f-2a-0b", "run-1", "1f-42", "", "p", "q", "a", 4.0, 16.0, 12.5, FOR_EVER)
    assert record_of(record.name) == record
    assert record_of(record._replace(ended=13.25).name).ended == 13.25
    assert record.process == (31, "42")


@pytest.mark.parametrize("name", ["", "x", "2~host", "1~~~~~~~~~~~~", "1~host~w~r~o~u~p~q~a~x~y~z~", "~" * 12])
def test_what_is_no_hold_of_ours_breaks_nothing(name):
    hold = place().host(4, 16)
    hold.begin(0.0)
    Path(holds.of_this_host().place, name or "empty").touch()
    assert record_of(name) is None
    assert held(hold) == ALL


def test_jobs_that_may_use_the_same_cores_share_them_while_both_live():
    hold = place().host(16, 16)
    hold.begin(0.0)
    another(hold, "run-2", began=5.0)
    assert held(hold) == Shares(1.0, 0.75, 1.0)
    another(hold, "run-3", began=5.0, ended=7.5)
    assert held(hold).held == pytest.approx(0.75)  # of the same process as run-2


def test_jobs_with_cores_of_their_own_share_nothing():
    hold = place().host(4, 16)
    hold.begin(0.0)
    another(hold, "run-2", allocation="other")
    assert held(hold) == ALL


def test_all_jobs_together_hold_no_more_than_the_host_has():
    hold = place().host(16, 16)
    hold.begin(0.0)
    another(hold, "run-2", allocation="other", held=16.0, whole=16.0)
    assert held(hold).held == 0.5


def test_ranks_of_one_job_that_share_its_cores_hold_their_parts_in_full():
    hold = place().host(4, 16)
    hold.record = hold.record._replace(whole=8.0)
    hold.begin(0.0)
    another(hold, "run-1")
    assert held(hold) == ALL


def test_a_run_of_the_whole_machine_counts_what_runs_of_its_project_measure_too():
    hold = place().host(4, 16)
    hold.begin(0.0)
    record = another(hold, "run-2", began=5.0)
    holds.of_this_host().read()
    holds.of_this_host().others = {record.name: record._replace(root=MACHINE)}
    assert held(hold) == Shares(1.0, 1.0, 0.5)
    holds.of_this_host().others = {record.name: record._replace(root=MACHINE, project="another")}
    assert held(hold) == ALL


def test_a_job_that_ended_without_a_word_holds_nothing_any_more(monkeypatch):
    hold = place().host(16, 16)
    hold.begin(0.0)
    another(hold, "run-2")
    monkeypatch.setattr(endings, "is_alive", lambda pid, began: False)
    held(hold)
    now = time.monotonic()
    assert held(hold, now + 1, now + 2) == ALL


class Card(Sensor):
    """A GPU's counter of joules, which may tell each process's use or not."""

    is_divided, is_split = True, False

    def __init__(self):
        self.facts = facts("gpu-0", "gpu", "NVIDIA A100", uuid="GPU-1", basis="counter")
        self.joules = 0.0

    def read(self):
        return Reading(busy_share=0.5, energy_j=self.joules)


def measured(meter: Meter, joules: float) -> Meter:
    for at, value in ((1000.0, 0.0), (1010.0, joules)):
        meter.sensor.joules = value
        part = held(meter.hold, meter.at, at) if meter.at else ALL
        meter.hold.begin(at)
        meter.take(at, meter.sensor.read(), 100.0, part)
    return meter


def test_a_gpu_that_several_jobs_see_is_divided_among_them():
    meter = Meter(Card(), place().device("GPU-1"))
    meter.hold.begin(1000.0)
    another(meter.hold, "run-2")
    measured(meter, 500.0)
    assert (meter.energy_j, meter.elapsed_s, meter.held_s, meter.busy_s) == (250.0, 10.0, 5.0, 2.5)


def test_a_gpu_whose_driver_tells_each_process_use_is_not_divided_again():
    meter = Meter(Card(), place().device("GPU-1"))
    meter.sensor.is_split = True
    meter.hold.begin(1000.0)
    meter.hold.keep(0.0)
    another(meter.hold, "run-2")
    measured(meter, 500.0)
    assert meter.energy_j == 500.0
    assert meter.hold.record.held == 0.0, "and takes nothing of the others'"


def test_a_gpu_that_two_runs_of_a_process_measure_is_counted_once():
    outer = Meter(Card(), place("outer").device("GPU-1"))
    inner = Meter(Card(), place("inner", outer="outer").device("GPU-1"))
    outer.hold.begin(1000.0)
    inner.hold.begin(1000.0)
    for meter in (outer, inner):
        measured(meter, 500.0)
    assert (outer.energy_j, outer.shared_energy_j) == (500.0, 500.0)
    assert (inner.energy_j, inner.shared_energy_j) == (500.0, 0.0)


class SlowCard(Card):
    """Its driver takes a moment, and `meanwhile` happens in it."""

    def __init__(self, meanwhile):
        super().__init__()
        self.meanwhile = meanwhile

    def read(self):
        self.joules += 500.0
        self.meanwhile()
        return super().read()


def test_a_run_that_begins_while_a_slow_device_is_read_has_its_part_of_that():
    outer, inner = place("outer"), place("inner", outer="outer").device("GPU-1")
    meter = Meter(SlowCard(lambda: None), outer.device("GPU-1"))
    meter.read(1.0)

    def begin():
        inner.begin(time.monotonic())
        time.sleep(0.2)

    meter.sensor.meanwhile = begin
    meter.read(1.0)
    assert meter.shared_held_s == pytest.approx(meter.at - inner.record.began, abs=0.01)
    assert meter.shared_held_s >= 0.2
