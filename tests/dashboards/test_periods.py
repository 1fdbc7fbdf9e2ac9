"""Which days a page shows, and the bars that a chart over them has."""

from datetime import date, timedelta

import pytest

from runs.dashboards import periods

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(("preset", "days"), [("7", 7), ("30", 30), ("90", 90)])
def test_a_preset_ends_today_and_has_its_number_of_days(preset, days):
    period = periods.period(preset, TODAY)
    assert period.last == TODAY
    assert (period.last - period.first).days + 1 == days


@pytest.mark.parametrize("asked", [None, "", "0", "-1", "8", "nan", "１2", "all "])
def test_anything_but_a_preset_is_the_default(asked):
    assert periods.period(asked, TODAY) == periods.period(periods.DEFAULT, TODAY)


def test_the_period_before_is_as_long_and_ends_the_day_before():
    period = periods.period("30", TODAY)
    before = period.before()
    assert before.last == period.first - timedelta(days=1)
    assert before.last - before.first == period.last - period.first


def test_nothing_lies_before_all_time():
    assert periods.period("all", TODAY).before() is None


def test_all_time_takes_in_runs_of_a_clock_that_is_a_day_ahead():
    assert periods.period("all", TODAY).last == TODAY + timedelta(days=1)


@pytest.mark.parametrize(("days", "bucket"), [(1, "day"), (92, "day"), (93, "week"), (728, "week"), (729, "month")])
def test_bars_grow_from_days_to_weeks_to_months(days, bucket):
    assert periods.bucket_name(days) == bucket


@pytest.mark.parametrize("days", [1, 30, 92, 93, 728, 729, 2000])
def test_a_chart_has_at_most_about_a_hundred_bars_and_every_day_falls_into_one_of_them(days):
    first = TODAY - timedelta(days=days - 1)
    bars = periods.buckets(first, TODAY)
    assert 1 <= len(bars) <= 106
    assert bars == sorted(set(bars))
    assert {periods.bucket_of(first + timedelta(days=n), days) for n in range(days)} == set(bars)


def test_a_week_starts_on_monday_and_a_month_on_its_first():
    assert periods.bucket_of(date(2026, 11, 25), 100) == date(2026, 11, 23)
    assert periods.bucket_of(date(2026, 11, 25), 1000) == date(2026, 11, 1)
