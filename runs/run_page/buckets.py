"""What a run's charts draw of its curves: means, lows and highs of equal parts of its time."""

from bisect import bisect_left, bisect_right
from itertools import accumulate, islice, pairwise
from operator import itemgetter, sub
from typing import NamedTuple

from runs.figures.charts import MOST_SERIES
from runs.figures.curves import STORED_TO_S, Curve, Rates, differences, end_of

#: Buckets of a chart: enough for a wide screen, few enough for its table.
MOST_POINTS = 300
#: With this many devices each still has its own line (more are grouped by kind), but with fewer points, so that the
#: page doesn't get larger.
MANY_LINES = range(5, MOST_SERIES + 1)
#: A bucket that was observed for less than this share is a gap, not low power.
LEAST_OBSERVED = 0.5
#: Devices are read one after the other: samples this close together are one reading of all devices.
AT_ONCE_S = 0.1


def edges_of(curves: list[Curve], start_s: float = 0.0, end_s: float | None = None) -> list[float]:
    """Return bucket edges of a part of the run (by default all of it), no finer than its samples."""
    end_s = end_of(curves) if end_s is None else end_s
    most = MOST_POINTS if len(curves) not in MANY_LINES else MOST_POINTS // 2
    count = max(1, min(most, max(curve.samples_between(start_s, end_s) for curve in curves)))
    return [start_s + (end_s - start_s) * index / count for index in range(count + 1)]


class Buckets(NamedTuple):
    """Joules up to each edge; mean power in W and utilisation between edges, None if almost nothing was observed."""

    energy_j: list[float]
    power_w: list[float | None]
    utilisation: list[float | None]


def buckets(curve: Curve, edges: list[float]) -> Buckets:
    elapsed_s, busy_s, energy_j = curve.along(edges)
    found = Buckets(energy_j, [], [])
    observed_s, busy_s, used_j = differences(elapsed_s), differences(busy_s), differences(energy_j)
    for wide_s, seconds, busy, joules in zip(differences(edges), observed_s, busy_s, used_j, strict=True):
        # Don't divide by less than the stored precision; a writer that began before its run also ends before it.
        is_gap = seconds <= max(LEAST_OBSERVED * wide_s, STORED_TO_S / 2)
        found.power_w.append(None if is_gap else joules / seconds)
        found.utilisation.append(busy / seconds if curve.tells_utilisation and not is_gap else None)
    return found


def extremes(curve: Curve, rates: Rates, edges: list[float]) -> list[tuple[float, float] | None]:
    """Return the lowest and highest of the curve's powers or utilisations in each bucket; None in gaps."""
    found: list[tuple[float, float] | None] = []
    for start_s, end_s in pairwise(edges):
        first, last = max(bisect_right(curve.at_s, start_s) - 1, 0), bisect_left(curve.at_s, end_s)
        lows, highs = ([rate for rate in each[first:last] if rate is not None] for each in rates[1:])
        found.append((min(lows), max(highs)) if lows else None)
    return found


def most_power_w(curves: list[Curve], start_s: float, end_s: float) -> float:
    """Return the highest power (W) of all devices together; each has its mean between two of its samples.

    Power changes at samples: these instants of all devices are sorted, and the changes are added up in that order.
    """
    changes: list[tuple[float, float]] = []
    for curve in curves:
        first = max(bisect_right(curve.at_s, start_s) - 1, 0)
        last = min(bisect_left(curve.at_s, end_s), len(curve.at_s) - 1)
        powers = [0.0, *(power or 0.0 for power in curve.powers_w.means[first:last]), 0.0]
        changes += zip(curve.at_s[first : last + 1], differences(powers), strict=True)
    changes.sort()
    # At one instant some devices rise and others fall: the sum is only valid after all of them have changed.
    sums = accumulate(map(itemgetter(1), changes))
    levels = dict(zip(map(itemgetter(0), changes), sums, strict=True))
    lasted_s = map(sub, islice(levels, 1, None), levels)
    lasted = zip(levels.values(), lasted_s, strict=False)
    return max((power for power, seconds in lasted if seconds > AT_ONCE_S), default=0.0)


def utilisation_of(curves: list[Curve], start_s: float, end_s: float) -> tuple[float | None, float | None]:
    """Return the devices' mean utilisation in a part of the run, and the highest of one between two samples."""
    ends = [(curve.at(start_s), curve.at(end_s)) for curve in curves]
    observed_s = sum(after.elapsed_s - before.elapsed_s for before, after in ends)
    busy_s = sum(after.busy_s - before.busy_s for before, after in ends)
    highest = (extremes(curve, curve.utilisations, [start_s, end_s])[0] for curve in curves)
    most = max((each[1] for each in highest if each), default=None)
    mean = min(busy_s / observed_s, 1.0) if observed_s > 0 else None
    return mean, None if most is None or mean is None else max(min(most, 1.0), mean)
