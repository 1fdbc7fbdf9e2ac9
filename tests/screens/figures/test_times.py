"""Times for people: relative for under a week, in the reader's zone, ISO beside it."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from runs.figures import times
from runs.figures.units import span
from runs.templatetags.times import when

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=4), "4 min ago"),
        (timedelta(minutes=119), "1 h ago"),
        (timedelta(hours=47), "1 d ago"),
        (timedelta(days=6, hours=23), "6 d ago"),
        (timedelta(days=7), "18 Nov 2026, 12:00"),
        (timedelta(minutes=-1), "25 Nov 2026, 12:01"),
    ],
)
def test_a_moment_is_relative_for_a_week_and_a_date_after_it_and_ahead(age, words):
    assert times.words(NOW - age, NOW) == words


def test_dates_are_in_the_readers_zone():
    with timezone.override(zoneinfo.ZoneInfo("Asia/Tokyo")):
        assert times.words(NOW - timedelta(days=30), NOW) == "26 Oct 2026, 21:00"
        assert 'title="2026-10-26T21:00:00+09:00"' in when(NOW - timedelta(days=30))


def test_no_moment_is_a_dash():
    assert when(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 s"),
        (8.25, "8.25 s"),
        (59.96, "1 min"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (11_520, "3 h 12 min"),
        (3605, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds, words):
    assert span(seconds) == words
