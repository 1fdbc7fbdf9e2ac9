"""A run over time as charts: one axis, the same lines and colours, the same numbers in words and as a table."""

from itertools import pairwise

import pytest

from hardware.models import HardwareProfile
from runs.figures.curves import Span
from runs.models import EmissionFactor, Run
from runs.run_page import series
from tests.screens.figures.test_curves import START, curve, measured, sample, stage, steady

RUN = Run(started_at=START, factor=EmissionFactor(kg_per_kwh=0.5))


def charts(*curves, stages=(), span=None) -> dict:
    for pk, one in enumerate(curves):
        one.device.pk = pk
    names = {pk: f"device {pk}" for pk in range(len(curves))}
    return {chart.id: chart for chart in series.charts(list(curves), list(stages), names, RUN, span)}


def test_there_are_three_with_one_axis():
    found = charts(steady())
    assert list(found) == ["power", "utilisation", "energy"]
    assert len({tuple(chart.edges) for chart in found.values()}) == 1


def test_power_times_the_width_of_its_buckets_adds_up_to_the_energy():
    power = charts(curve(measured(100, 700), sample(20, 100), sample(60, 650), sample(100, 700)))["power"]
    widths_s = [end - start for start, end in pairwise(power.edges)]
    joules = sum(value * width_s for value, width_s in zip(power.series[0].values, widths_s, strict=True))
    assert joules == pytest.approx(700)
    assert power.totals.values == [700 / 3.6e6]


def test_energy_ends_at_the_whole_and_has_its_emissions_beside_it():
    energy = charts(steady(3600), steady(7200, key="gpu-1"))["energy"]
    assert [one.values[-1] for one in energy.series] == pytest.approx([0.1, 0.2])
    assert energy.twin_values[-1] == pytest.approx(0.15)
    assert energy.sentence == "Cumulative energy of 2 devices: 300 Wh after 1 min 40 s, 150 g of CO₂e."


def test_a_part_goes_on_from_what_was_used_before():
    energy = charts(steady(3600), span=Span(50, 100, 0.05, 50))["energy"]
    assert (energy.series[0].values[0], energy.series[0].values[-1]) == pytest.approx((0.05, 0.1))


def test_the_sentences_say_what_is_shown():
    found = charts(steady(10), steady(20))
    assert found["power"].sentence.startswith("Mean power of 2 devices over 1 min 40 s: 30 W on average, 30 W at most")
    assert found["utilisation"].sentence == "Utilisation of 2 devices over 1 min 40 s: 0 % on average, 0 % at most."


def test_memory_is_never_busy_and_keeps_the_others_colours():
    found = charts(steady(kind="ram"), steady(kind="tpu"))
    assert [one.name for one in found["power"].series] == ["device 1", "device 0"]
    assert [one.name for one in found["utilisation"].series] == ["device 1"]


def test_no_samples_make_no_chart():
    assert charts() == {}


def test_more_devices_than_colours_are_shown_by_kind_with_nothing_lost():
    eight = [steady(10, kind="gpu", key=f"gpu-{n}") for n in range(8)]
    found = charts(*eight, steady(5, kind="cpu", key="cpu"))
    assert [line.name for line in found["power"].series] == ["8 × GPU", "1 × CPU"]
    assert found["power"].series[0].values[0] == pytest.approx(80)
    assert sum(found["power"].totals.values) == pytest.approx(8500 / 3.6e6)


def test_of_many_devices_utilisation_shows_the_mean_and_how_far_they_are_apart():
    cards = [curve(measured(100, 0, busy_s=busy), sample(100, 0, busy_s=busy)) for busy in [*range(10, 80, 10), 90]]
    (line,) = charts(*cards)["utilisation"].series
    assert (line.values[0], line.lows[0], line.highs[0]) == pytest.approx((0.4625, 0.1, 0.9))


def test_a_band_needs_several_samples_to_a_bucket():
    assert charts(steady(seconds=300, step_s=1))["power"].series[0].lows is None
    line = charts(steady(seconds=1200, step_s=1))["power"].series[0]
    assert (line.lows[0], line.highs[0]) == pytest.approx((10, 10))


def test_what_the_devices_are_rated_for_is_marked_as_far_as_the_run_held_them():
    card = HardwareProfile(slug="acme", name="Acme", kind="gpu", tdp_w=400)
    half = charts(steady(profile=card, share=0.5), steady(profile=card))["power"]
    assert [(mark.name, mark.value) for mark in half.marks] == [("TDP", 600)]
    assert half.sentence.endswith("their TDP is 600 W together.")


def test_the_charts_show_outermost_stages_that_ended_as_bands():
    stages = [stage(), stage(key="2", parent="1"), stage(key="3", end_s=None)]
    for chart in charts(steady(), stages=stages).values():
        assert chart.bands == [("epoch 1", 10, 30)]
