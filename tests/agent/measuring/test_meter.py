"""Counters of one device: what readings add to them, and what they don't."""

import contextlib
import itertools
import math
import time

import pytest

from traceml_agent.measuring.meter import Meter
from traceml_agent.measuring.sampler import MOST_S, Sampler, sample_spacing_s
from traceml_agent.sensors.sensor import Reading, Sensor, facts
from traceml_agent.spool.board import Board


class Scripted(Sensor):
    """A sensor that reads what the test gives it."""

    def __init__(self, basis="", most_w=None, every_s=0.0):
        self.facts = facts("gpu-0", "gpu", "Scripted", basis=basis)
        self.most_w, self.every_s = most_w, every_s
        self.now: Reading | Exception | None = None

    def read(self):
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


def metered(*readings, basis="", most_w=None, gap_s=5.0):
    """A meter after readings given as (time, Reading)."""
    meter = Meter(Scripted(basis, most_w))
    for at, reading in readings:
        meter.take(at, reading, gap_s)
    return meter


def test_a_counter_adds_what_it_grew_by():
    readings = [(0, Reading(energy_j=1000)), (1, Reading(energy_j=1250)), (2, Reading(energy_j=1600))]
    meter = metered(*readings, basis="counter")
    assert (meter.energy_j, meter.elapsed_s) == (600, 2)


def test_the_first_reading_adds_nothing():
    meter = metered((10, Reading(busy_share=1.0, energy_j=5e6)), basis="counter")
    assert (meter.energy_j, meter.busy_s, meter.elapsed_s) == (0, 0, 0)


def test_power_is_integrated_by_trapezoids():
    meter = metered((0, Reading(power_w=100)), (2, Reading(power_w=200)), basis="sensor")
    assert meter.energy_j == 300


def test_a_counter_stays_right_across_a_gap():
    meter = metered((0, Reading(energy_j=0)), (600, Reading(energy_j=60_000)), basis="counter")
    assert (meter.energy_j, meter.elapsed_s) == (60_000, 600)


def test_a_gap_adds_nothing_to_what_is_integrated():
    meter = metered((0, Reading(1.0, power_w=300)), (600, Reading(1.0, power_w=300)), basis="sensor")
    assert (meter.energy_j, meter.busy_s, meter.elapsed_s) == (0, 0, 0)


def test_of_a_gap_only_the_busy_seconds_that_a_counter_proves_are_counted():
    meter = metered((0, Reading(busy_s=0)), (600, Reading(busy_s=40)))
    assert (meter.busy_s, meter.elapsed_s) == (40, 40)


def test_a_counter_that_starts_again_is_no_reading_for_its_interval():
    readings = [(0, Reading(energy_j=9e6)), (1, Reading(energy_j=50)), (2, Reading(energy_j=350))]
    meter = metered(*readings, basis="counter")
    assert (meter.energy_j, meter.elapsed_s, meter.dropped) == (300, 1, 1)


def test_more_than_the_most_power_is_no_reading():
    meter = metered((0, Reading(energy_j=0)), (1, Reading(energy_j=1e6)), basis="counter", most_w=300)
    assert (meter.energy_j, meter.dropped) == (0, 1)


def test_busy_time_is_never_more_than_time():
    assert metered((0, Reading(busy_s=0)), (1, Reading(busy_s=9))).busy_s == 1


def test_utilisation_is_integrated():
    assert metered((0, Reading(0.2)), (1, Reading(0.4)), (2, Reading(0.4))).busy_s == pytest.approx(0.7)


def test_without_any_utilisation_busy_time_is_not_known():
    meter = metered((0, Reading(power_w=100)), (2, Reading(power_w=100)), basis="sensor")
    assert (meter.energy_j, meter.elapsed_s, meter.busy_s) == (200, 2, None)


def test_a_utilisation_that_fails_now_and_then_costs_no_busy_time():
    readings = [Reading(share, power_w=100) for share in (0.5, None, 0.5, None, None, 0.5, None)]
    meter = metered(*enumerate(readings), basis="sensor")
    assert (meter.busy_s, meter.elapsed_s) == (3, 6)


def test_time_before_the_first_utilisation_counts_as_busy_as_then():
    readings = [Reading(power_w=100), Reading(power_w=100), Reading(1.0, power_w=100), Reading(1.0, power_w=100)]
    meter = metered(*enumerate(readings), basis="sensor")
    assert (meter.busy_s, meter.elapsed_s) == (3, 3)


def test_of_a_gap_that_a_counter_spans_the_utilisation_is_that_of_the_rest():
    readings = [(0, Reading(0.8, energy_j=0)), (1, Reading(0.8, energy_j=100)), (101, Reading(0.8, energy_j=10_100))]
    meter = metered(*readings, basis="counter")
    assert (meter.energy_j, meter.busy_s) == (10_100, pytest.approx(80.8))


def test_busy_time_that_is_not_known_stands_on_the_board_as_such():
    board, meter = Board(), metered((0, Reading(power_w=100)), (2, Reading(power_w=100)), basis="sensor")
    meter.stand_on(board, 0.0)
    ((_, values),) = board.rows()
    assert (values[1], math.isnan(values[2]), values[3]) == (2, True, 200)


@pytest.mark.parametrize("lie", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize("field", ["busy_share", "busy_s", "power_w", "energy_j"])
def test_a_reading_of_no_sane_number_is_dropped_and_counted(field, lie):
    meter = Meter(Scripted("counter"))
    meter.sensor.now = Reading(**{field: lie})
    meter.read(1.0)
    assert (meter.dropped, meter.at) == (1, 0.0)


def test_a_sensor_that_keeps_failing_is_left_out():
    meter = Meter(Scripted())
    meter.sensor.now = OSError("gone")
    for _ in range(5):
        meter.read(1.0)
    assert meter.is_lost


def test_a_sensor_that_comes_back_is_kept():
    meter = Meter(Scripted())
    for reading in [OSError("busy")] * 4 + [Reading(0.5), OSError("busy")]:
        meter.sensor.now = reading
        meter.read(1.0)
    assert not meter.is_lost


def test_samples_are_stored_further_apart_as_a_run_grows():
    ages_s = (0, 10, 30, 50, 1000, 5000, 50_000, 5e6)
    assert [sample_spacing_s(age_s, 1.0) for age_s in ages_s] == [1, 1, 3, 5, 5, 10, 100, MOST_S]


def test_a_month_costs_a_few_thousand_samples():
    age_s, count = 0.0, 0
    while age_s < 30 * 86_400:
        age_s += sample_spacing_s(age_s, 1.0)
        count += 1
    assert count < 12_000


def ticked(times, sensor):
    """Samples that a sampler hands over when ticked at these times, in seconds since its start."""
    records: list[list[dict]] = []
    sampler = Sampler(1.0, 0.0, records.append, after_each=lambda: None)
    sampler.meters = [Meter(sensor)]
    for now in times:
        sensor.now = Reading(0.5)
        sampler.tick(float(now))
    return records


def test_a_kill_costs_a_second_of_a_young_run_and_then_a_tenth_of_its_age_and_never_more_than_five():
    written_s = [0.0]
    sampler = Sampler(1.0, 0.0, lambda samples: written_s.append(now_s), after_each=lambda: None)
    sampler.meters = [Meter(Scripted())]
    for tick in range(1, 4000):
        now_s = tick / 4
        sampler.meters[0].sensor.now = Reading(0.5)
        sampler.tick(now_s)
    for before_s, after_s in itertools.pairwise(written_s):
        assert after_s - before_s <= min(max(1.0, 0.1 * after_s), 5.0) + 0.25  # ticked four times a second


def test_what_was_told_is_written_every_five_seconds_however_old_the_run_is():
    assert [len(samples) for samples in ticked(range(10_000, 10_020), Scripted())].count(0) >= 2


def test_what_counts_by_itself_is_read_every_five_seconds_for_the_board_alone():
    reads = []

    class Counting(Scripted):
        def read(self):
            reads.append(1)
            return super().read()

    records = ticked(range(10_000, 10_042), Counting(every_s=60.0))
    assert 8 <= len(reads) <= 10
    assert len([samples for samples in records if samples]) == 3  # at 10,000 s samples lie a little over 20 s apart


@contextlib.contextmanager
def sampling(sensor, samples, interval_s=0.1):
    """A sampler at work in its thread, and the times at which it looked around after a tick."""
    looks: list[float] = []
    began = time.monotonic()
    sampler = Sampler(interval_s, began, samples.extend, after_each=lambda: looks.append(time.monotonic() - began))
    sensor.now = Reading(0.5)
    sampler.meters = [Meter(sensor)]
    sampler.start(lambda: None)
    yield sampler, looks
    sampler.stop()


def test_what_counts_by_itself_wakes_nobody_between_two_samples():
    with sampling(Scripted(every_s=60.0), []) as (_, looks):
        time.sleep(1.3)
    assert 2 <= len(looks) <= looks[-1] / 0.1 + 2  # every 0.1 s


def test_an_instants_value_is_read_every_interval():
    with sampling(Scripted(every_s=0.0), []) as (_, looks):
        time.sleep(1.3)
    assert len(looks) >= 6


def test_a_stage_that_ends_is_sampled_at_once_where_the_last_sample_is_an_interval_old():
    sampler = Sampler(1.0, 0.0, lambda samples: None, lambda: None)
    sampler.tick(40.0)
    assert sampler._due_at() == 44.0
    sampler.mark()
    assert sampler._due_at() == 41.0


def test_stages_that_follow_each_other_fast_are_sampled_once_an_interval():
    samples: list[dict] = []
    with sampling(Scripted(every_s=60.0), samples) as (sampler, _):
        began = time.monotonic()
        for _ in range(300):
            sampler.mark()
            time.sleep(0.002)
        lasted_s = time.monotonic() - began
    assert len(samples) <= lasted_s / 0.1 + 3  # one at the start, one at the end, and one that was due


def test_samples_of_stages_put_off_no_regular_one():
    """A kill between two records would lose more than their interval."""
    sampler = Sampler(1.0, 0.0, lambda samples: None, lambda: None)
    sampler.tick(30.0)
    sampler.mark()
    sampler.tick(31.5)
    assert sampler._due_at() == 33.0
