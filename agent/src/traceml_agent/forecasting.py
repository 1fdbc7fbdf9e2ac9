"""What all epochs of a run will use, from those that are done. Pure: standard library only."""

from __future__ import annotations

from math import sqrt
from operator import mul
from typing import NamedTuple

from traceml_agent import student

CONFIDENCE = 0.95
#: A slope that equal epochs would show less often than once in five counts as a drift: missing one is worse than
#: assuming one that is not there. With fewer epochs than this, no slope is estimated.
DRIFT_CONFIDENCE = 0.8
LEAST_FOR_A_DRIFT = 4
#: Epochs correlated this strongly can't be told from a random walk, whose mean is unknown.
MOST_CORRELATED = 0.95
LEAST_DF = 2.0


def forecast(done: list[float], total: int) -> tuple[float, float, float]:
    """The expected sum over `total` epochs and its 95 % interval, from what each of the `done` ones used, in any unit.

    The first epoch warms up (caches, compilers, data from disk), so it counts only in what was used.

    With m epochs left and n counted, the spread of what is left is sqrt(v·(m + m²/n)): each epoch varies, and so may
    their mean. v is the variance of independent epochs, and larger for epochs that resemble the one before (`_Noise`);
    the interval is Student's t times that. Where epochs drift, what is expected stays as it is now, and the interval
    reaches from epochs like those done on average to a drift that goes on. One epoch alone tells nothing of the
    spread: the interval is half to twice the rest.
    """
    used, left = sum(done), max(total - len(done), 0)
    counted = done[1:] or done
    if not left or not counted:
        return used, used, used
    count, mean = len(counted), sum(counted) / len(counted)
    if count < 2:
        return used + left * mean, used + left * mean / 2, used + 2 * left * mean
    drift = _drift(counted) if count >= LEAST_FOR_A_DRIFT else None
    if drift is None:
        margin = _noise([value - mean for value in counted], 1).margin(left, 1 / count)
        expected, low, high = (left * mean + each for each in (0.0, -margin, margin))
    else:
        away = (count + left) / 2  # from the middle of the epochs counted to the middle of those to come
        steady, margin = left * mean, drift.noise.margin(left, 1 / count)
        going_on = steady + left * drift.slope * away
        wider = drift.noise.margin(left, 1 / count + away * away / _squares(count))
        expected = steady + left * drift.slope * (count - 1) / 2
        low, high = min(steady - margin, going_on - wider), max(steady + margin, going_on + wider)
    return used + max(expected, 0.0), used + max(low, 0.0), used + max(high, 0.0)


class _Noise(NamedTuple):
    """How epochs vary about their mean or line: the variance that independent epochs would need to make a mean as
    uncertain as these make it, and how many degrees of freedom it was estimated with."""

    variance: float
    df: float

    def margin(self, left: int, lever: float) -> float:
        """Half the interval of a sum over `left` epochs whose mean has the variance `lever` times that of one."""
        return student.quantile(CONFIDENCE, self.df) * sqrt(self.variance * (left + left * left * lever))


def _noise(residuals: list[float], fitted: int) -> _Noise:
    """The noise left by a mean (one number `fitted`) or a line (two).

    Of n epochs with a correlation r from one to the next only n·(1 - r)/(1 + r) are worth counting: a sum or a mean of
    them varies as one of so many independent epochs (first-order autoregression; Bartlett, J. R. Stat. Soc. 98, 1935,
    536-543). Short series make r look smaller than it is, by (1 + 3r)/n about a mean and (1 + 4r)/n about a line
    (Marriott and Pope, Biometrika 41, 1954, 390-402).
    """
    count, squares = len(residuals), sum(value * value for value in residuals)
    if squares <= 0.0:
        return _Noise(0.0, count - fitted)
    seen = sum(map(mul, residuals, residuals[1:])) / squares
    correlation = min(max(seen + (1 + (2 + fitted) * seen) / count, 0.0), MOST_CORRELATED)
    inflation = (1 + correlation) / (1 - correlation)
    variance = squares / max(count - fitted * inflation, 1.0)
    df = max(count / inflation - fitted, min(LEAST_DF, count - fitted))
    return _Noise(variance * inflation, df)


class _Drift(NamedTuple):
    """A line through the epochs: its slope per epoch, and how they vary about it."""

    slope: float
    noise: _Noise


def _drift(counted: list[float]) -> _Drift | None:
    """The line of least squares; None if such a slope is not significant."""
    count, mean, middle = len(counted), sum(counted) / len(counted), (len(counted) - 1) / 2
    squares = _squares(count)
    slope = sum((n - middle) * value for n, value in enumerate(counted)) / squares
    noise = _noise([value - mean - slope * (n - middle) for n, value in enumerate(counted)], 2)
    if abs(slope) <= 1e-9 * abs(mean):  # rounding errors of equal epochs
        return None
    error = sqrt(noise.variance / squares)
    ordinary = error > 0 and student.two_sided_p(slope / error, noise.df) >= 1 - DRIFT_CONFIDENCE
    return None if ordinary else _Drift(slope, noise)


def _squares(count: int) -> float:
    """The sum of squares of the numbers of so many epochs about their middle."""
    return count * (count * count - 1) / 12
