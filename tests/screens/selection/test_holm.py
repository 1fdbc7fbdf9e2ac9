"""p-values adjusted for their family."""

import random

import pytest

from runs.selection.group_tests import holm
from runs.selection.welch import welch


def test_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_alone_stays_as_it_is_and_none_is_above_one():
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_of_ten_groups_that_do_not_differ_one_in_twenty_families_is_called_significant_and_not_two_in_five():
    source, alarms = random.Random(4), 0
    for _ in range(400):
        groups = [[source.gauss(10, 1) for _ in range(8)] for _ in range(11)]
        (base, *others) = [(len(g), sum(g) / 8, (sum((v - sum(g) / 8) ** 2 for v in g) / 7) ** 0.5) for g in groups]
        alarms += min(holm([welch(*base, *other).p for other in others])) < 0.05
    assert alarms / 400 <= 0.08
