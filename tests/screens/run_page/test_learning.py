"""What the energy of a run bought: the point after which a metric hardly gained."""

import pytest

from runs.run_page.learning import MOST_POINTS, MetricPoint, learned, thinned
from tests.screens.figures.test_curves import steady

#: 36 kW for 100 s: a kWh in all, a hundredth of it a second.
CURVES = [steady(36_000)]


def found(*values: tuple[float, float], name: str = "accuracy", lower: bool = False):
    return learned(CURVES, [MetricPoint(*each) for each in values], name, lower)


def test_the_energy_after_the_first_value_within_a_percent_of_the_best_is_told():
    result = found((20, 0.5), (62, 0.796), (80, 0.798), (100, 0.8))
    assert (result.within.at_s, result.best) == (62, 0.8)
    assert result.share_after == pytest.approx(0.38)
    assert result.after_kwh == pytest.approx(0.38)
    assert result.sentence == (
        "The last 38 % of the energy (380 Wh) improved accuracy by less than 1 %: "
        "it was 0.796 after 1 min 2 s, 0.8 at best."
    )


def test_less_of_a_loss_is_better():
    result = found((20, 2.0), (50, 1.005), (100, 1.0), name="loss", lower=True)
    assert (result.within.at_s, result.best, result.share_after) == (50, 1.0, pytest.approx(0.5))


def test_a_metric_that_falls_off_again_had_its_best_before():
    assert found((20, 0.5), (40, 0.9), (100, 0.6)).within.at_s == 40


def test_a_metric_that_gains_to_the_end_bought_something_with_all_of_the_energy():
    result = found((20, 0.5), (60, 0.7), (100, 0.9))
    assert result.share_after == 0
    assert result.sentence == "accuracy improved by 1 % or more until its last value."


def test_of_a_best_of_zero_only_zero_is_within_a_percent():
    assert found((20, 0.5), (60, 0.001), (100, 0.0), lower=True).share_after == 0


@pytest.mark.parametrize("values", [[], [(50, 0.5)]])
def test_one_value_alone_says_nothing(values):
    assert found(*values) is None


def test_without_samples_nothing_is_known():
    assert learned([], [MetricPoint(1, 1), MetricPoint(2, 2)], "loss", True) is None


def test_the_chart_has_the_energy_used_until_each_value_and_the_best_so_far():
    chart = found((20, 0.5), (60, 0.4), (100, 0.9)).chart
    assert chart.labels == pytest.approx([0.2, 0.6, 1.0])
    assert [list(series.values) for series in chart.series] == [[0.5, 0.4, 0.9], [0.5, 0.5, 0.9]]


def test_of_many_values_the_extremes_of_every_few_are_drawn_and_both_ends():
    values = [1.0] * 1000
    values[0], values[502], values[777], values[999] = 1.5, 50.0, -3.0, 2.0
    kept = thinned(values)
    assert {0, 502, 777, 999} <= set(kept)
    assert kept == sorted(kept)
    assert len(kept) <= MOST_POINTS + 2
    assert thinned([3.0, 1.0, 2.0]) == [0, 1, 2]


@pytest.mark.parametrize("place", [0, 1, 501, 998, 999])
@pytest.mark.parametrize(("extreme", "lower"), [(50.0, False), (-50.0, True)])
def test_the_best_value_is_drawn_wherever_it_lies(place, extreme, lower):
    values = [1.0] * 1000
    values[place] = extreme
    result = found(*((n / 10, value) for n, value in enumerate(values)), lower=lower)
    assert extreme in result.chart.series[0].values
    assert result.chart.series[1].values[-1] == result.best == extreme
