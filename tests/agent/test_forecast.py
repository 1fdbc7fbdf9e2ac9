"""What a run will have used at its end."""

import random
from math import sqrt

import pytest

from traceml_agent import estimation


def test_equal_epochs_leave_no_doubt():
    assert estimation.forecast([2.0] * 5, 10) == (20.0, 20.0, 20.0)
    assert estimation.forecast([0.1] * 9, 12) == pytest.approx((1.2, 1.2, 1.2))


def test_the_first_epoch_warms_up_and_says_nothing_of_the_others():
    expected, _, _ = estimation.forecast([9.0, 2.0, 2.0, 2.0], 10)
    assert expected == 9 + 9 * 2


def test_by_hand():
    # counted 3, 5: mean 4, s = sqrt(2), t of one degree 12.706; 2 left: sqrt(2 + 4/2) = 2
    expected, low, high = estimation.forecast([6.0, 3.0, 5.0], 5)
    assert expected == 14 + 2 * 4
    assert high - expected == pytest.approx(12.706 * 2**0.5 * 2, rel=1e-4)
    assert low == 14.0  # never less than what is used already


@pytest.mark.parametrize(("counted", "t"), [(4, 3.1824), (16, 2.1314), (18, 2.1098), (40, 2.0227)])
def test_the_factor_is_students_t_however_many_epochs_are_done(counted, t):
    # Epochs in turns of 9 and 11 resemble their neighbours less than chance would have it: nothing to widen for.
    epochs = [10.0, *([9.0, 11.0] * counted)[:counted]]
    expected, _, high = estimation.forecast(epochs, 2 * counted)
    left = 2 * counted - len(epochs)
    spread = sqrt(counted / (counted - 1)) * sqrt(left + left**2 / counted)
    assert high - expected == pytest.approx(t * spread, rel=1e-3)


def test_a_single_epoch_is_half_to_twice_the_rest():
    assert estimation.forecast([4.0], 3) == (12.0, 8.0, 20.0)


def test_a_run_that_is_done_is_what_it_used():
    assert estimation.forecast([1.0, 2.0, 3.0], 3) == (6.0, 6.0, 6.0)


def test_epochs_that_drift_are_expected_as_they_are_now_and_at_most_to_drift_on():
    rising = [10.0 + n for n in range(11)]
    expected, low, high = estimation.forecast(rising, 21)
    used = sum(rising)
    assert expected == pytest.approx(used + 10 * 20.0)
    assert low == pytest.approx(used + 10 * 15.5)
    assert high == pytest.approx(used + sum(21.0 + n for n in range(10)))


def test_what_falls_is_never_expected_below_nothing():
    expected, low, high = estimation.forecast([20.0 - 2 * n for n in range(10)], 60)
    assert sum(20.0 - 2 * n for n in range(10)) <= low <= expected <= high


def independent(source: random.Random, count: int) -> list[float]:
    return [source.gauss(10, 1) for _ in range(count)]


def alike(correlation: float):
    """Epochs that resemble the one before, as caches, clocks and neighbours make them."""

    def epochs(source: random.Random, count: int) -> list[float]:
        away, found = source.gauss(0, 1 / sqrt(1 - correlation**2)), []
        for _ in range(count):
            away = correlation * away + source.gauss(0, 1)
            found.append(10 + away)
        return found

    return epochs


def drifting(by: float, noise: float = 0.2):
    """Epochs that use more from one to the next, as those of growing inputs or of a warming room do."""
    return lambda source, count: [10 * (1 + by * n) + source.gauss(0, noise) for n in range(count)]


def settling(source: random.Random, count: int) -> list[float]:
    """Epochs whose warm-up takes longer than one of them."""
    return [10 * (1 + 0.5 * 0.8**n) + source.gauss(0, 0.3) for n in range(count)]


#: At least so much of 400 runs lies in the interval; the one of independent epochs held what stands behind it.
COVERAGE = {
    "independent": (independent, 20, 100, 0.93),  # 0.94
    "independent, few": (independent, 6, 40, 0.93),  # 0.95
    "a little alike": (alike(0.3), 20, 100, 0.90),  # 0.83
    "alike": (alike(0.6), 20, 100, 0.87),  # 0.64
    "very much alike": (alike(0.9), 20, 100, 0.80),  # 0.31
    "rising": (drifting(0.01), 20, 100, 0.93),  # 0.00
    "rising, few": (drifting(0.01), 10, 40, 0.90),  # 0.00
    "rising fast": (drifting(0.03), 16, 60, 0.93),  # 0.00
    "falling": (drifting(-0.005), 20, 100, 0.93),  # 0.00
    "settling": (settling, 16, 60, 0.95),  # 0.00
}


@pytest.mark.parametrize(("epochs_of", "done", "total", "least"), COVERAGE.values(), ids=COVERAGE)
def test_the_interval_holds_the_truth(epochs_of, done, total, least):
    source, held = random.Random(5), 0
    for _ in range(400):
        epochs = epochs_of(source, total)
        _, low, high = estimation.forecast(epochs[:done], total)
        held += low <= sum(epochs) <= high
    assert held / 400 >= least


def test_independent_epochs_are_forecast_about_as_closely_as_by_the_textbook():
    source, widths = random.Random(3), []
    for _ in range(200):
        _, low, high = estimation.forecast(independent(source, 21), 60)
        widths.append(high - low)
    textbook = 2 * 2.093 * sqrt(39 + 39**2 / 20)
    assert sorted(widths)[100] == pytest.approx(textbook, rel=0.3)
