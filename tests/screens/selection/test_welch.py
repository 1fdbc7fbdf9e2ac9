"""Welch's t-test against SciPy's, which is a dependency of the tests alone."""

import random
import statistics

import pytest

from runs.selection.welch import welch


def described(values):
    return len(values), statistics.mean(values), statistics.stdev(values)


@pytest.mark.parametrize("seed", range(25))
def test_it_agrees_with_scipy(seed):
    stats = pytest.importorskip("scipy.stats")
    dice = random.Random(seed)
    one = [dice.gauss(10, dice.uniform(0.1, 4)) for _ in range(dice.randint(3, 60))]
    other = [dice.gauss(10 + dice.uniform(-3, 3), dice.uniform(0.1, 4)) for _ in range(dice.randint(3, 60))]
    ours, theirs = welch(*described(one), *described(other)), stats.ttest_ind(one, other, equal_var=False)
    assert (ours.t, ours.df) == pytest.approx((theirs.statistic, theirs.df))
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)


def test_a_known_value():
    assert welch(5, 20.0, 2.0, 5, 17.0, 2.0).p == pytest.approx(0.04516, abs=2e-4)


def test_equal_means_differ_by_chance_alone():
    assert welch(4, 1.0, 0.5, 9, 1.0, 0.1).p == pytest.approx(1.0)


@pytest.mark.parametrize("group", [(2, 1.0, 0.5), (1, 1.0, None)])
def test_small_groups_are_not_tested(group):
    assert welch(*group, 5, 2.0, 0.5) is None


def test_groups_without_spread_are_not_tested():
    assert welch(3, 1.0, 0.0, 3, 2.0, 0.0) is None
