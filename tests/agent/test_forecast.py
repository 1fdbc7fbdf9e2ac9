"""What a run will have used at its end."""

import random

import pytest

from traceml_agent import estimation


def test_equal_epochs_leave_no_doubt():
    assert estimation.forecast([2.0] * 5, 10) == (20.0, 20.0, 20.0)


def test_the_first_epoch_warms_up_and_says_nothing_of_the_others():
    expected, _, _ = estimation.forecast([9.0, 2.0, 2.0, 2.0], 10)
    assert expected == 9 + 9 * 2


def test_by_hand():
    # counted 3, 5: mean 4, s = sqrt(2), t of one degree 12.71; 2 left: sqrt(2 + 4/2) = 2
    expected, low, high = estimation.forecast([6.0, 3.0, 5.0], 5)
    assert expected == 14 + 2 * 4
    assert high - expected == pytest.approx(12.71 * 2**0.5 * 2)
    assert low == 14.0  # never less than what is used already


def test_a_single_epoch_is_half_to_twice_the_rest():
    assert estimation.forecast([4.0], 3) == (12.0, 8.0, 20.0)


def test_a_run_that_is_done_is_what_it_used():
    assert estimation.forecast([1.0, 2.0, 3.0], 3) == (6.0, 6.0, 6.0)


def test_the_interval_holds_the_truth_about_95_times_in_100():
    source, held = random.Random(5), 0
    for _ in range(1000):
        epochs = [source.gauss(10, 2) for _ in range(40)]
        _, low, high = estimation.forecast(epochs[:10], 40)
        held += low <= sum(epochs) <= high
    assert 920 <= held <= 980
