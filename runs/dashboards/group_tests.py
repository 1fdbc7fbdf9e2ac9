"""Groups of runs against one of them: by how much the mean energy of a run differs, and whether by more than chance."""

from typing import NamedTuple

from runs.dashboards.groups import Group
from runs.dashboards.welch import LEAST, Welch, welch

#: A difference that chance alone would make less often than this is called one; the usual bound.
RARE = 0.05


class Difference(NamedTuple):
    """A group's mean energy of a run against the base group's, with Welch's test; None where there is none to make."""

    base: Group
    group: Group
    test: Welch | None

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
    def is_rare(self) -> bool:
        return self.test is not None and self.test.p < RARE


def may_be_compared(group: Group) -> bool:
    return group.runs >= LEAST


def base_group(groups: list[Group], key: str) -> Group | None:
    """The group of at least three runs with this key."""
    return next((group for group in groups if group.key == key and may_be_compared(group)), None)


def differences(groups: list[Group], base: Group | None) -> dict[str, Difference]:
    """Every other group of at least three runs against this one, by its key."""
    if base is None:
        return {}
    others = (group for group in groups if group is not base and may_be_compared(group))
    return {group.key: Difference(base, group, _test(group, base)) for group in others}


def _test(group: Group, base: Group) -> Welch | None:
    one, other = ((each.runs, each.energy.mean, each.energy.sd) for each in (group, base))
    return welch(*one, *other)
