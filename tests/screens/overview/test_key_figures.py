"""Key figures from amounts by day, and the lines that show them."""

from datetime import timedelta

import pytest

from runs.figures.periods import period
from runs.models.usage import AMOUNTS
from runs.overview.key_figures import key_figures, sparkline, totals_of
from tests.screens.rows import DAY

WEEK = period("7", DAY)


def amounts(kwh: float, runs: int = 1) -> dict[str, float]:
    return dict.fromkeys(AMOUNTS, 0.0) | {
        "energy_kwh": kwh,
        "emissions_kg": kwh / 2,
        "energy_low_kwh": 0.9 * kwh,
        "energy_high_kwh": 1.1 * kwh,
        "measured_kwh": kwh / 4,
        "runs": runs,
    }


def ago(days: int):
    return DAY - timedelta(days=days)


def figures(days) -> dict:
    return {one.quantity: one for one in key_figures(days, WEEK, totals_of(days, WEEK), DAY + timedelta(days=1))}


def test_a_period_and_the_one_before_add_up_their_own_days():
    found = figures({DAY: amounts(2.0), ago(6): amounts(4.0), ago(7): amounts(1.0), ago(14): amounts(99.0)})
    assert (found["energy"].value, found["energy"].before) == (6.0, 1.0)
    assert (found["emissions"].low, found["emissions"].high) == pytest.approx((2.7, 3.3))
    assert (found["share"].value, found["count"].value) == (0.25, 2)


def test_without_use_there_are_zeros_and_no_lines():
    found = figures({})
    assert [one.value for one in found.values()] == [0, 0, 0, 0, 0]
    assert not any(one.sparkline for one in found.values())


def test_a_line_has_a_point_a_day_and_its_peak_at_the_top():
    line = sparkline([(ago(2), 0.0), (ago(1), 4.0), (DAY, 2.0)], "energy")
    assert line.path == "M0.0 23.0L50.0 1.0L100.0 12.0"
    assert line.sentence == "At most 4 kWh, on 24 Nov 2026; last 2 kWh."


def test_a_day_without_energy_is_a_gap_in_the_share_that_was_measured():
    found = figures({ago(6): amounts(1.0), ago(5): amounts(1.0), ago(1): amounts(1.0)})
    assert found["share"].sparkline.path.count("M") == 2
    assert found["energy"].sparkline.path.count("M") == 1


def test_one_day_makes_no_line():
    assert sparkline([(DAY, 1.0)], "energy") is None


def test_a_day_that_goes_on_is_in_the_figure_but_in_no_line_and_no_comparison():
    days = {DAY: amounts(1.0), ago(1): amounts(4.0), ago(6): amounts(2.0), ago(7): amounts(3.0), ago(13): amounts(9.0)}
    energy = key_figures(days, WEEK, totals_of(days, WEEK), DAY)[1]
    assert (energy.value, energy.over, energy.before) == (7.0, 6.0, 3.0)
    assert energy.sparkline.sentence.endswith("last 4 kWh.")


def test_where_only_today_used_energy_the_line_shows_it():
    days = {DAY: amounts(1.0)}
    assert key_figures(days, WEEK, totals_of(days, WEEK), DAY)[1].sparkline.sentence.endswith("last 1 kWh.")
