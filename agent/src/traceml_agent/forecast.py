"""What a run will have used at its end, from the epochs that are done. Pure: standard library only.

The first epoch warms up (caches, compilers, data from disk): it counts for what was used, not for what is to come.
"""

from __future__ import annotations

from math import sqrt

#: Two-sided 95 % quantiles of Student's t by degrees of freedom (Student 1908); beyond, the normal's 1.96.
T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
NORMAL_95 = 1.96


def whole(done: list[float], total: int) -> tuple[float, float, float]:
    """The expected sum over `total` epochs and its 95 % interval, from what each of the `done` ones used, in any unit.

    With m epochs left, n counted, of standard deviation s, the spread of what is left is s·sqrt(m + m²/n): each epoch
    varies, and so may their mean. One alone tells nothing of the spread: the interval is half to twice the rest.
    """
    used, left = sum(done), max(total - len(done), 0)
    counted = done[1:] or done
    if not left or not counted:
        return used, used, used
    mean = sum(counted) / len(counted)
    rest = left * mean
    if len(counted) < 2:
        return used + rest, used + rest / 2, used + 2 * rest
    spread = sqrt(sum((value - mean) ** 2 for value in counted) / (len(counted) - 1))
    margin = _t_95(len(counted) - 1) * spread * sqrt(left + left * left / len(counted))
    return used + rest, max(used + rest - margin, used), used + rest + margin


def _t_95(degrees: int) -> float:
    return T_95[degrees - 1] if degrees <= len(T_95) else NORMAL_95
