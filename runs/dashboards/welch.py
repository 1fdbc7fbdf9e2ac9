"""Welch's t-test: whether two groups of runs differ by more than chance, without assuming equal spreads.

B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
Biometrika 34 (1947) 28-35; the incomplete beta function by its continued fraction (Press et al., Numerical Recipes,
3rd ed. 2007, 6.4). Of the standard library alone: the portal needs one p-value, not a statistics package.
"""

from math import exp, lgamma, log, sqrt
from typing import NamedTuple

#: Smaller groups say too little about their spread.
LEAST = 3
_TINY = 1e-300
_ENOUGH = 1e-15


class Welch(NamedTuple):
    """The statistic, its degrees of freedom, and the two-sided probability of such a difference by chance."""

    t: float
    df: float
    p: float


def welch(n1: int, mean1: float, sd1: float | None, n2: int, mean2: float, sd2: float | None) -> Welch | None:
    """t = (m1 - m2) / sqrt(s1²/n1 + s2²/n2), df by Welch and Satterthwaite; None for small or constant groups."""
    if min(n1, n2) < LEAST or sd1 is None or sd2 is None:
        return None
    v1, v2 = sd1 * sd1 / n1, sd2 * sd2 / n2
    if v1 + v2 <= 0.0:
        return None
    t = (mean1 - mean2) / sqrt(v1 + v2)
    df = (v1 + v2) ** 2 / (v1 * v1 / (n1 - 1) + v2 * v2 / (n2 - 1))
    return Welch(t, df, incomplete_beta(df / 2, 0.5, df / (df + t * t)))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0.0 or x >= 1.0:
        return max(0.0, min(x, 1.0))
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1.0 - x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1.0 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Its continued fraction by Lentz's method."""
    c, d = 1.0, 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1.0))
    found = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _nonzero(1.0 + term * d)
            c = _nonzero(1.0 + term / c)
            found *= d * c
        if abs(d * c - 1.0) < _ENOUGH:
            break
    return found


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
