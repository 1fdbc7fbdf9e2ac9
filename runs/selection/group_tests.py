"""Comparison of groups of runs: how much their mean energy per run differs, and whether significantly."""

from collections.abc import Sequence
from typing import NamedTuple

from runs.selection.groups import Group
from runs.selection.welch import LEAST, Welch, welch

#: A difference is significant if it would be seen less often than this between equal groups.
SIGNIFICANT = 0.05


class Difference(NamedTuple):
    """A group's mean energy per run compared with the base group's, by Welch's test; None if it can't be tested. `p` is
    adjusted for all comparisons that were made together."""

    base: Group
    group: Group
    test: Welch | None
    p: float | None

    @property
    def energy_kwh(self) -> float:
        return abs(self.group.energy.mean - self.base.energy.mean)

    @property
    def share(self) -> float | None:
        """As a share of the base group's mean; None if that is zero."""
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
    """Return the group with this key if it has at least three runs."""
    return next((group for group in groups if group.key == key and may_be_compared(group)), None)


def differences(pairs: list[tuple[Group, Group]]) -> list[Difference]:
    """Return the difference for each pair of a base and another group. Groups with common runs are not tested: the test
    assumes independent groups, and common runs make any difference look smaller than it is."""
    tests = [None if group.shared else _test(group, base) for base, group in pairs]
    adjusted = iter(holm([test.p for test in tests if test]))
    return [
        Difference(base, group, test, next(adjusted) if test else None)
        for (base, group), test in zip(pairs, tests, strict=True)
    ]


def against(groups: list[Group], base: Group | None) -> dict[str, Difference]:
    """Compare every other group of at least three runs with this one; returns differences by key."""
    if base is None:
        return {}
    pairs = [(base, group) for group in groups if group is not base and may_be_compared(group)]
    return {found.group.key: found for found in differences(pairs)}


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust each p for all comparisons, so that any false alarm stays as rare as with a single comparison.

    The smallest is multiplied by their number n, the next by n - 1 and so on, never below the one before (S. Holm, "A
    simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979, 65-70).
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, n in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[n]))
        adjusted[n] = largest
    return adjusted


def _test(group: Group, base: Group) -> Welch | None:
    one, other = ((each.runs, each.energy.mean, each.energy.sd) for each in (group, base))
    return welch(*one, *other)
