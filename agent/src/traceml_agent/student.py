"""Student's t distribution with the standard library only: agent and portal need one quantile and one probability, not
a statistics package.

"Student", "The probable error of a mean", Biometrika 6 (1908) 1-25; the incomplete beta function by its continued
fraction (Press et al., Numerical Recipes, 3rd ed. 2007, 6.4).
"""

from __future__ import annotations

from math import exp, lgamma, log, pi, sqrt

_TINY = 1e-300
_ENOUGH = 1e-15


def two_sided_p(t: float, df: float) -> float:
    """The probability of a value at least as far from zero as `t`. `df` degrees of freedom need not be an integer."""
    return incomplete_beta(df / 2, 0.5, df / (df + t * t))


def quantile(confidence: float, df: float) -> float:
    """The t such that a share `confidence` of all values is between -t and t: 2.23 for 0.95 and 10.

    For shares of a half or more. The probability falls more and more slowly, so Newton's steps never overshoot.
    """
    density_at_0 = exp(lgamma((df + 1) / 2) - lgamma(df / 2)) / sqrt(df * pi)
    t = 0.5
    for _ in range(100):
        missing = two_sided_p(t, df) - (1.0 - confidence)
        step = missing / (2 * density_at_0 * (1 + t * t / df) ** (-(df + 1) / 2))
        t += step
        if step <= 1e-10 * t:
            break
    return t


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
