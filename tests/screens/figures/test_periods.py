"""Which days a page shows, and the bars that a chart over them has."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from runs.figures import periods

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


def test_all_time_ends_today_and_takes_in_runs_of_a_clock_that_is_a_day_ahead():
    period = periods.period("all", TODAY)
    assert period.last == TODAY
    assert period.holds(TODAY + timedelta(days=1))


@pytest.mark.parametrize(
    ("preset", "label", "before"),
    [("month", "November 2026", "October 2026"), ("quarter", "Q4 2026", "Q3 2026"), ("year", "2026", "2025")],
)
def test_a_calendar_preset_is_whole_and_follows_the_one_before(preset, label, before):
    period = periods.period(preset, TODAY)
    assert (period.label, period.before().label) == (label, before)
    assert span(period.before().after(TODAY)) == span(period)


@pytest.mark.parametrize(
    ("preset", "over", "earlier"),
    [
        ("7", ("2026-11-19", "2026-11-24"), ("2026-11-13", "2026-11-18")),
        ("month", ("2026-11-01", "2026-11-24"), ("2026-10-01", "2026-10-24")),
        ("quarter", ("2026-10-01", "2026-11-24"), ("2026-07-01", "2026-08-24")),
        ("year", ("2026-01-01", "2026-11-24"), ("2025-01-01", "2025-11-24")),
    ],
)
def test_what_goes_on_is_compared_by_the_days_that_are_over(preset, over, earlier):
    assert tuple(map(span, periods.period(preset, TODAY).compared(TODAY))) == (over, earlier)


def test_what_is_over_is_compared_whole_and_a_day_that_goes_on_not_at_all():
    march = periods.between(date(2026, 3, 1), date(2026, 3, 31), TODAY)
    assert march.compared(TODAY) == (march, march.before())
    assert periods.between(TODAY, TODAY, TODAY).compared(TODAY) is None
    assert periods.period("all", TODAY).compared(TODAY) is None


def test_of_a_month_longer_than_the_one_before_no_day_of_another_month_is_compared():
    march = periods.period("month", date(2026, 3, 31))
    assert span(march.compared(date(2026, 3, 31))[1]) == ("2026-02-01", "2026-02-28")


@pytest.mark.parametrize(
    ("days", "asked", "bucket"),
    [(30, "week", "week"), (365, "day", "day"), (365, "month", "month"), (400, "day", "week"), (30, "decade", "day")],
)
def test_bars_are_of_what_was_asked_for_unless_they_would_be_too_many(days, asked, bucket):
    assert periods.bucket_name(days, asked) == bucket


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


def span(period) -> tuple[str, str]:
    return period.first.isoformat(), period.last.isoformat()


@pytest.mark.parametrize(
    ("since", "until", "label", "before", "after"),
    [
        ("2026-03-01", "2026-03-31", "March 2026", ("2026-02-01", "2026-02-28"), ("2026-04-01", "2026-04-30")),
        ("2024-01-01", "2024-12-31", "2024", ("2023-01-01", "2023-12-31"), ("2025-01-01", "2025-12-31")),
        ("2026-03-01", "2026-03-10", "1 Mar 2026 – 10 Mar 2026", ("2026-02-19", "2026-02-28"),
         ("2026-03-11", "2026-03-20")),
        ("2026-03-05", "2026-03-05", "5 Mar 2026", ("2026-03-04", "2026-03-04"), ("2026-03-06", "2026-03-06")),
    ],
)  # fmt: skip
def test_days_asked_for_have_equal_ones_before_and_after(since, until, label, before, after):
    period = periods.between(date.fromisoformat(since), date.fromisoformat(until), TODAY)
    assert (period.preset, period.label) == ("", label)
    assert span(period.before()) == before
    assert span(period.after(TODAY)) == after
    assert span(period.before().after(TODAY)) == (since, until)


def test_nothing_comes_after_today():
    assert periods.period("30", TODAY).after(TODAY) is None
    assert periods.between(date(2026, 11, 1), date(2026, 11, 30), TODAY).after(TODAY) is None


def test_days_the_wrong_way_round_are_turned():
    assert span(periods.between(date(2026, 3, 5), date(2026, 3, 1), TODAY)) == ("2026-03-01", "2026-03-05")


def test_days_that_no_run_can_have_are_cut_off():
    assert span(periods.between(date.min, date.max, TODAY)) == ("2000-01-01", "2026-12-31")


def test_an_open_end_is_today_and_an_open_beginning_the_first_run():
    assert periods.between(date(2026, 3, 5), None, TODAY).last == TODAY
    assert periods.between(None, date(2026, 3, 5), TODAY).first is None


@pytest.mark.parametrize("days", [1, 30, 93, 729])
def test_the_spans_of_bars_lie_end_to_end_within_the_period(days):
    first = TODAY - timedelta(days=days - 1)
    found = list(periods.spans(periods.buckets(first, TODAY), first, TODAY))
    assert (found[0][0], found[-1][1]) == (first, TODAY)
    assert all(end + timedelta(days=1) == start for (_, end), (start, _) in pairwise(found))


@pytest.mark.parametrize(
    ("since", "until", "months", "around"),
    [
        ("2026-01-01", "2026-12-31", ("2026-01-01", "2026-12-31"), []),
        ("2025-11-30", "2026-11-29", ("2025-12-01", "2026-10-31"), ["2025-11-30", "2026-11-01"]),
        ("2026-01-31", "2026-03-01", ("2026-02-01", "2026-02-28"), ["2026-01-31", "2026-03-01"]),
        ("2026-02-01", "2026-02-28", ("2026-02-01", "2026-02-28"), []),
        ("2026-02-02", "2026-03-30", None, None),
        ("2026-02-02", "2026-02-03", None, None),
    ],
)
def test_a_period_is_its_whole_months_and_the_days_around_them(since, until, months, around):
    asked = periods.between(date.fromisoformat(since), date.fromisoformat(until), date(2026, 12, 31))
    whole = asked.whole_months
    assert (whole and span(whole)) == months
    if whole:
        parts = asked.around(whole)
        assert [span(part)[0] for part in parts] == around
        assert sum((part.last - part.first).days + 1 for part in [whole, *parts]) == (asked.last - asked.first).days + 1


def test_of_all_time_every_month_is_whole_as_nothing_comes_after_it():
    ever = periods.period("all", date(2026, 11, 29))
    assert ever.whole_months == ever
    assert ever.around(ever) == []


def test_an_open_beginning_has_whole_months_until_the_last_that_is_over():
    asked = periods.between(None, date(2026, 11, 29), date(2026, 11, 29))
    assert (asked.whole_months.first, asked.whole_months.last) == (None, date(2026, 10, 31))
    assert [span(part) for part in asked.around(asked.whole_months)] == [("2026-11-01", "2026-11-29")]
