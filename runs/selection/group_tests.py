"""Comparison of groups of runs: how much the mean energy of a run differs, and whether significantly."""

from collections.abc import Sequence
from typing import NamedTuple

from runs.figures.welch import LEAST, Welch, welch
from runs.selection.groups import Group

#: A difference that would be seen less often than this if the groups did not differ is called significant.
SIGNIFICANT = 0.05


class Difference(NamedTuple):
    """A group's mean energy of a run against the base group's, with Welch's test; None where there is none to make.
    `p` is adjusted for all the comparisons that were made with this one."""

    base: Group
    group: Group
    test: Welch | None
    p: float | None

    @property
    def energy_kwh(self) -> float:
        return abs(self.group.energy.mean - self.base.energy.mean)

    @property
    def share(self) -> float | None:
        """Of the base group's mean; None where that is zero."""
        return self.energy_kwh / self.base.energy.mean if self.base.energy.mean > 0 else None

    @property
    def word(self) -> str:
        return "less" if self.group.energy.mean < self.base.energy.mean else "more"

    @property
    def is_significant(self) -> bool:
        return self.p is not None and self.p < SIGNIFICANT


def may_be_compared(group: Group) -> bool:
    return group.runs >= LEAST


def base_group(groups: list[Group], key: str) -> Group | None:
    """The group of at least three runs with this key."""
    return next((group for group in groups if group.key == key and may_be_compared(group)), None)


def differences(pairs: list[tuple[Group, Group]]) -> list[Difference]:
    """Of each pair of a base and another group. Groups that have runs in common are not tested: the test is for
    independent ones, and runs that stand in both make any difference look smaller than it is."""
    tests = [None if group.shared else _test(group, base) for base, group in pairs]
    adjusted = iter(holm([test.p for test in tests if test]))
    return [
        Difference(base, group, test, next(adjusted) if test else None)
        for (base, group), test in zip(pairs, tests, strict=True)
    ]


def against(groups: list[Group], base: Group | None) -> dict[str, Difference]:
    """Every other group of at least three runs against this one, by its key."""
    if base is None:
        return {}
    pairs = [(base, group) for group in groups if group is not base and may_be_compared(group)]
    return {found.group.key: found for found in differences(pairs)}


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust each p for all comparisons, so that any false alarm stays as rare as with a single comparison.

    The smallest is multiplied by their number n, the next by n - 1 and so on, never below the one before
    (S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979, 65-70).
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, n in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[n]))
        adjusted[n] = largest
    return adjusted


def _test(group: Group, base: Group) -> Welch | None:
    one, other = ((each.runs, each.energy.mean, each.energy.sd) for each in (group, base))
    return welch(*one, *other)
