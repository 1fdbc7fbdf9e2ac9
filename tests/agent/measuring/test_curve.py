"""The power over a run's time, in as few points as a small chart shows."""

from itertools import pairwise

import pytest

from traceml_agent.measuring.card import html
from traceml_agent.measuring.curve import MOST_POINTS, Curve
from traceml_agent.measuring.summary import nothing


def curve(times: list[float], power_w: float = 10.0) -> Curve:
    found = Curve()
    for t_s in times:
        found.add(t_s, power_w * t_s)
    return found


@pytest.mark.parametrize("count", [2, MOST_POINTS, 10_000])
def test_a_curve_keeps_the_power_in_few_points_without_wide_gaps(count):
    found = curve([2.0 * number for number in range(count)])
    assert 2 <= len(found.points) <= MOST_POINTS
    assert all(power_w == pytest.approx(10.0) for *_, power_w in found.powers())
    gaps = [after[0] - before[0] for before, after in pairwise(found.points)]
    assert count == 2 or max(gaps) < found.points[-1][0] / 40


def test_an_energy_that_falls_is_no_negative_power():
    found = Curve()
    for point in ((0.0, 5.0), (1.0, 3.0), (1.0, 9.0)):
        found.add(*point)
    assert found.powers() == [(0.0, 1.0, 0.0)]


@pytest.mark.parametrize("times", [[], [0.0], [0.0, 1.0]])
def test_a_run_that_was_too_short_for_a_chart_has_none(times):
    assert "<svg" not in html("x", nothing(), curve(times))
    assert "<svg" in html("x", nothing(), curve([0.0, 1.0, 2.0], power_w=0.0))
