"""The year by day: squares, their colours, months and the sentence."""

from datetime import date, timedelta

import pytest

from runs.models import ProjectUsage
from runs.overview.heat_map import LEFT, LEVELS, STEP, TOP, heat_map, steps_of
from tests.screens.rows import DAY

pytestmark = pytest.mark.django_db


@pytest.fixture
def use(people):
    def make(day: date, kg: float):
        ProjectUsage.objects.create(project=people.project, day=day, emissions_kg=kg, energy_kwh=2 * kg)

    return make


def drawn(quantity="kg"):
    return heat_map(ProjectUsage.objects.all(), DAY, quantity)


def test_it_ends_today_and_begins_on_a_monday_53_weeks_long(use):
    use(DAY, 1.0)
    found = drawn()
    assert found.days[-1].iso == DAY.isoformat()
    assert date.fromisoformat(found.days[0].iso).weekday() == 0
    assert (found.days[0].x, found.days[0].y) == (LEFT, TOP)
    assert found.days[-1].x == LEFT + 52 * STEP
    assert found.days[-1].x + STEP <= found.width


def test_a_day_without_use_has_no_colour(use):
    use(DAY, 1.0)
    assert {day.level for day in drawn().days[:-1]} == {0}


def test_each_colour_has_a_fifth_of_the_days_however_far_one_stands_out(use):
    for n in range(10):
        use(DAY - timedelta(days=n), 1000.0 if n == 9 else 1.0 + n)
    levels = [day.level for day in drawn().days if day.level]
    assert sorted(levels) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert drawn().steps[-1] == 1000.0


def test_equal_days_have_one_colour():
    assert steps_of([2.0] * 7) == [2.0]
    assert len(steps_of(range(100))) == LEVELS
    assert steps_of([0.0]) == []


def test_the_sentence_names_the_total_and_the_busiest_day(use):
    use(DAY, 1.0)
    use(DAY - timedelta(days=40), 3.0)
    assert "4 kg on 2 days, most on Fri 16 Oct 2026: 3 kg" in drawn().sentence
    assert "8 kWh on 2 days" in drawn("kwh").sentence


def test_the_table_has_the_weeks_with_use_from_monday_on_the_last_one_first(use):
    use(DAY, 1.0)
    use(DAY - timedelta(days=40), 4.0)
    (_, _, last), (first, end, former) = drawn().weeks
    assert [amount for _, amount, _ in last] == [0, 0, 1.0]
    assert (first, end) == ("2026-10-12", "2026-10-18")
    assert (former[4], len(former)) == (("day=2026-10-16", 4.0, "4"), 7)


def test_a_year_without_use_is_no_chart(use):
    use(DAY - timedelta(days=500), 1.0)
    assert drawn() is None
