"""Curves of a run: what is read off cumulative counters."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from runs.figures import curves
from runs.models import Device, Run, Stage, Writer
from runs.models.batch import Sample, pack, unpack, unpack_columns
from runs.run_page import buckets

START = datetime(2026, 11, 25, 12, tzinfo=UTC)
RUN = Run(started_at=START)


def writer(offset_s: float = 0.0, last_t_s: float = 100.0, pk: int = 1) -> Writer:
    return Writer(pk=pk, started_at=START + timedelta(seconds=offset_s), last_t_s=last_t_s)


def measured(elapsed_s: float, energy_j: float, key: str = "gpu-0", **more) -> Device:
    """A device that drew what its counter says, with its final counters."""
    counters = {"elapsed_s": elapsed_s, "busy_s": 0.0, "energy_j": energy_j}
    own = {"kind": "gpu", "name": "Acme", "measured_by": "counter", "basis": "counter", "writer": writer()}
    return Device(key=key, **(own | counters | more))


def sample(t_s: float, energy_j: float | None, elapsed_s: float | None = None, busy_s: float = 0.0) -> Sample:
    return Sample(t_s, t_s if elapsed_s is None else elapsed_s, busy_s, energy_j)


def curve(device: Device, *samples: Sample) -> curves.Curve:
    return curves.curve(RUN, device, [list(column) for column in zip(*samples, strict=True)])


def steady(watts: float = 10.0, seconds: float = 100.0, step_s: float = 10.0, **more) -> curves.Curve:
    """A device at constant power, sampled every `step_s`."""
    times = [step_s * n for n in range(1, round(seconds / step_s) + 1)]
    device = measured(seconds, watts * seconds, writer=writer(last_t_s=seconds), **more)
    return curve(device, *(sample(t, watts * t) for t in times))


def test_the_energy_of_a_span_is_a_difference_wherever_it_lies_between_samples():
    line = curve(measured(100, 700), sample(50, 200), sample(100, 700))
    assert line.energy_between_j(0, 50) == 200
    assert line.energy_between_j(25, 75) == 100 + 250
    assert line.energy_between_j(0, 1e9) == 700


def test_spans_that_lie_end_to_end_add_up_to_the_whole():
    line = curve(measured(100, 700), sample(33, 200), sample(71, 250), sample(100, 700))
    edges = [0, 7, 33, 50, 99, 100]
    parts = [line.energy_between_j(start, end) for start, end in pairwise(edges)]
    assert sum(parts) == pytest.approx(700)


def test_the_final_counters_close_the_curve_though_they_came_in_no_batch():
    line = curve(measured(100, 700), sample(50, 200))
    assert (line.end_s, line.elapsed_s[-1], line.energy_j[-1]) == (100, 100, 700)
    assert line.energy_kwh == 700 / 3.6e6


def test_samples_that_came_twice_or_out_of_order_change_nothing():
    ordered = curve(measured(100, 700), sample(50, 200), sample(100, 700))
    mixed = curve(measured(100, 700), sample(100, 700), sample(50, 200), sample(50, 200))
    assert (mixed.at_s, mixed.energy_j) == (ordered.at_s, ordered.energy_j)


def test_a_lost_sample_costs_detail_not_energy():
    line = curve(measured(100, 700), sample(10, 60), sample(100, 700))
    assert line.energy_between_j(0, 100) == 700


def test_a_writer_that_joined_later_lies_later_on_the_runs_clock():
    device = measured(100, 700, writer=writer(offset_s=40))
    line = curve(device, sample(100, 700))
    assert (line.at_s[0], line.at_s[-1]) == (40, 140)
    assert line.energy_between_j(0, 40) == 0


def test_a_counter_that_was_not_read_yet_makes_no_step():
    line = curve(measured(100, 700), sample(10, None), sample(20, 140), sample(100, 700))
    assert line.energy_j == [0, 140, 700]


@pytest.mark.django_db
def test_an_unmeasured_device_is_estimated_at_each_sample_and_ends_at_its_own_energy(catalogue):
    cpu = {"kind": "cpu", "name": "AMD EPYC 7742 64-Core Processor", "cores": 64, "measured_by": "", "basis": "tdp"}
    device = measured(100, None, **cpu)
    device.busy_s = 50
    line = curve(device, sample(50, None, busy_s=10))
    idle_w, full_w = 0.15 * 225, 0.7 * 225
    assert line.energy_between_j(0, 50) == pytest.approx(50 * idle_w + 10 * (full_w - idle_w))
    assert line.energy_between_j(0, 100) == pytest.approx(100 * idle_w + 50 * (full_w - idle_w))


def test_mean_power_is_energy_over_observed_time():
    assert buckets.buckets(steady(10), [0, 25, 50, 100]).power_w == pytest.approx([10, 10, 10])


def test_a_gap_stays_a_gap():
    line = curve(measured(20, 200), sample(10, 100), sample(90, 100, elapsed_s=10), sample(100, 200, elapsed_s=20))
    assert buckets.buckets(line, [0, 10, 50, 90, 100]).power_w == [10, None, None, 10]


def test_before_a_device_joined_and_after_it_left_there_is_no_power():
    line = curve(measured(20, 200, writer=writer(offset_s=40, last_t_s=20)), sample(20, 200))
    assert buckets.buckets(line, [0, 40, 60, 100]).power_w == [None, 10, None]


def test_mean_utilisation_is_busy_over_observed_time():
    line = curve(measured(100, 700, busy_s=50), sample(50, 200, busy_s=10))
    assert buckets.buckets(line, [0, 50, 100]).utilisation == pytest.approx([0.2, 0.8])


def test_energy_is_told_at_each_edge():
    line = curve(measured(100, 700), sample(50, 200), sample(100, 700))
    assert buckets.buckets(line, [0, 25, 50, 100]).energy_j == [0, 100, 200, 700]


def test_a_bucket_knows_its_lowest_and_highest_sample():
    device = measured(40, 100, writer=writer(last_t_s=40))
    line = curve(device, sample(10, 50), sample(20, 60), sample(30, 90), sample(40, 100))
    assert line.powers_w.means == [5, 1, 3, 1]
    assert buckets.extremes(line, line.powers_w, [0, 20, 40]) == [(1, 5), (1, 3)]


def test_a_silence_has_no_rate():
    line = curve(measured(20, 200), sample(10, 100), sample(90, 100, elapsed_s=10), sample(100, 200, elapsed_s=20))
    assert line.powers_w.means == [10, None, 10]
    assert buckets.extremes(line, line.powers_w, [0, 40, 80, 100]) == [(10, 10), None, (10, 10)]


def test_a_chart_has_at_most_300_points_and_no_more_than_there_are_samples():
    assert len(buckets.edges_of([steady(seconds=100, step_s=10)])) == 10 + 1
    assert len(buckets.edges_of([steady(seconds=1000, step_s=1)])) == buckets.MOST_POINTS + 1


def test_a_hundred_thousand_samples_in_columns_say_what_they_say_in_rows():
    rows = {"gpu-0": [Sample(t / 7, t / 7, t / 9, None if t % 5 else t / 3) for t in range(1, 200)]}
    packed = pack({"gpu-0": list(zip(*rows["gpu-0"], strict=True))})
    assert [list(column) for column in zip(*unpack(packed)["gpu-0"], strict=True)] == unpack_columns(packed)["gpu-0"]


def stage(**more) -> Stage:
    return Stage(**({"name": "epoch 1", "key": "1", "start_s": 10, "end_s": 30, "writer": writer()} | more))


def test_a_stage_lies_on_the_runs_clock():
    assert curves.span_of(RUN, stage(writer=writer(offset_s=40))) == (50, 70)


def test_an_open_stage_lasts_until_its_writers_last_sample():
    assert curves.span_of(RUN, stage(end_s=None)) == (10, 100)
