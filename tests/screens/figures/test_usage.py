"""Sums over daily usage: totals, footprints and their bars, and the trend."""

from datetime import date, timedelta

import pytest
from django.db.models import Sum

from runs.figures import usage
from runs.figures.periods import period
from runs.models import DailyUsage
from tests.screens.rows import DAY
from tests.screens.rows import usage as add

WEEK = period("7", DAY)


@pytest.fixture
def project(people):
    return people.project


def everything():
    return DailyUsage.objects.all()


def trend(quantity="kg", over=WEEK):
    rows = over.days_of(everything())
    _, amount = usage.QUANTITIES[quantity]
    whole = dict(rows.order_by().values_list("day").annotate(Sum(amount)))
    return usage.trend_by_model(rows, whole, over, quantity, usage.footprints(rows))


def columns(chart) -> dict[str, list]:
    return {series.name: list(series.values) for series in chart.series}


@pytest.mark.django_db
def test_no_usage_adds_up_to_nothing():
    totals = usage.totals(everything())
    assert (totals["emissions_kg"], totals["runs"], totals["measured_share"]) == (0, 0, 0)


def test_totals_add_every_amount_and_say_what_share_was_measured(project):
    add(project, kg=1.0)
    add(project, kg=3.0, hardware="generic-gpu", measured_kwh=0.0)
    totals = usage.totals(everything())
    assert totals["emissions_kg"] == 4.0
    assert (totals["energy_low_kwh"], totals["energy_kwh"], totals["energy_high_kwh"]) == pytest.approx((6.4, 8, 9.6))
    assert (totals["emissions_low_kg"], totals["emissions_high_kg"]) == pytest.approx((3.2, 4.8))
    assert totals["device_s"] == 7200
    assert totals["measured_share"] == 1 / 8


def test_a_footprint_splits_a_model_into_training_inference_and_other(project):
    add(project, kg=1.0, kind="training")
    add(project, kg=2.0, kind="finetuning")
    add(project, kg=4.0, kind="inference")
    add(project, kg=8.0, kind="evaluation")
    add(project, kg=16.0, kind="other")
    (row,) = usage.footprints(everything())
    assert row["parts"] == [("training", 3.0), ("inference", 4.0), ("other", 24.0)]
    assert row["kg"] == 31.0


def test_footprints_list_the_largest_emissions_first(project):
    for model, kg in {"small": 1.0, "large": 5.0, "middle": 3.0}.items():
        add(project, model, kg=kg)
    assert [row["name"] for row in usage.footprints(everything())] == ["large", "middle", "small"]


def test_bars_are_as_long_as_their_share_of_the_largest_and_their_parts_lie_end_to_end(project):
    add(project, "large", kg=6.0)
    add(project, "large", kg=2.0, kind="inference")
    add(project, "small", kg=2.0)
    large, small = usage.bars(usage.footprints(everything()))
    training, inference, _ = large["segments"]
    assert (training["start"], training["width"], inference["start"]) == (0, 75, 75)
    assert sum(part["width"] for part in large["segments"]) == 100
    assert sum(part["width"] for part in small["segments"]) == 25


def test_bars_of_models_that_used_nothing_have_no_length(project):
    add(project, kg=0.0, runs=1)
    (row,) = usage.bars(usage.footprints(everything()))
    assert {(part["width"], part["share"]) for part in row["segments"]} == {(0, 0)}


def test_a_day_without_use_is_a_bar_of_zero_not_a_hole(project):
    add(project, kg=1.0, day=DAY - timedelta(days=6))
    add(project, kg=2.0, day=DAY)
    chart = trend()
    assert columns(chart) == {"resnet-50": [1.0, 0, 0, 0, 0, 0, 2.0]}
    assert chart.labels[0] == "2026-11-19"
    assert len(chart.labels) == 7


def test_a_trend_leaves_out_what_lies_before_the_period(project):
    add(project, kg=1.0, day=DAY - timedelta(days=7))
    assert trend() is None


def test_the_trends_total_is_the_sum_of_its_bars_and_of_the_usage(project):
    add(project, "a", kg=1.5, day=DAY - timedelta(days=2))
    add(project, "b", kg=2.5)
    chart = trend()
    assert chart.totals.values == [series.total for series in chart.series]
    assert sum(chart.totals.values) == usage.totals(everything())["emissions_kg"]
    assert "4 kg in total" in chart.sentence


def test_a_trend_may_show_energy_instead(project):
    add(project, kg=1.0)
    chart = trend("kwh")
    assert chart.quantity == "energy"
    assert chart.series[0].total == 2.0


def test_the_eighth_and_later_models_are_one_series(project):
    for n in range(9):
        add(project, f"model-{n}", kg=10.0 - n)
    chart = trend()
    assert [series.name for series in chart.series] == [*(f"model-{n}" for n in range(7)), "Other models"]
    assert chart.series[-1].total == 3.0 + 2.0


def test_other_models_have_nothing_on_a_day_on_which_none_of_them_ran(project):
    for n in range(8):
        add(project, f"model-{n}", kg=0.7 - n / 10 + 1e-3, day=DAY - timedelta(days=n // 7))
    assert columns(trend())["Other models"][-2:] == [pytest.approx(1e-3), 0.0]


def test_models_of_one_name_in_two_projects_are_told_apart(people):
    add(people.project, "bert", kg=1.0)
    add(people.charlies_project, "bert", kg=2.0)
    assert set(columns(trend())) == {"bert (Digits)", "bert (Secrets)"}


def test_a_long_trend_has_a_bar_a_week_and_loses_nothing(project):
    add(project, kg=1.0, day=DAY - timedelta(days=200))
    add(project, kg=2.0, day=date(2026, 11, 23))
    add(project, kg=4.0, day=date(2026, 11, 25))
    chart = trend(over=period("all", DAY))
    assert chart.axis == "week"
    assert chart.series[0].total == 7.0
    assert chart.series[0].values[-1] == 6.0


def test_growth_ends_at_the_models_total(project):
    add(project, kg=1.0, day=DAY - timedelta(days=3))
    add(project, kg=2.0, kind="inference")
    growth = usage.cumulative(usage.trend_by_part(everything(), WEEK, "kg"))
    assert columns(growth) == {"Training": [0, 0, 0, 1, 1, 1, 1], "Inference": [0, 0, 0, 0, 0, 0, 2]}
    assert "3 kg today" in growth.sentence
