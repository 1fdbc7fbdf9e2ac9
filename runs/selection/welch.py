"""Welch's t-test: whether two groups of runs differ by more than chance, without assuming equal spreads.

B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
Biometrika 34 (1947) 28-35.
"""

from math import sqrt
from typing import NamedTuple

from traceml_agent import student

#: Smaller groups say too little about their spread.
LEAST = 3


class Welch(NamedTuple):
    """The statistic, its degrees of freedom, and the two-sided probability of such a difference by chance."""

    t: float
    df: float
    p: float


def welch(n1: int, mean1: float, sd1: float | None, n2: int, mean2: float, sd2: float | None) -> Welch | None:
    """Test t = (m1 - m2) / sqrt(s1²/n1 + s2²/n2), df by Welch and Satterthwaite; None for small or constant groups."""
    if min(n1, n2) < LEAST or sd1 is None or sd2 is None:
        return None
    v1, v2 = sd1 * sd1 / n1, sd2 * sd2 / n2
    if v1 + v2 <= 0.0:
        return None
    t = (mean1 - mean2) / sqrt(v1 + v2)
    df = (v1 + v2) ** 2 / (v1 * v1 / (n1 - 1) + v2 * v2 / (n2 - 1))
    return Welch(t, df, student.two_sided_p(t, df))
