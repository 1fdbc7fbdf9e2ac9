"""Logged values of a metric, thinned so that the best one is never lost."""

from bisect import bisect_left
from collections.abc import Iterable
from math import ceil
from operator import itemgetter

time_of = itemgetter(0)


def thinned_values(rows: list, most: int, ends_s: Iterable[float] = ()) -> list:
    """Return logged values [t_s, name, value], sorted by time, or if there are more than `most`, about half as many.

    These are the first, of each bin the last, the lowest and the highest (every nth could miss the best one), and the
    last before each of `ends_s`.
    """
    if len(rows) <= most:
        return rows
    kept, width = {0}, ceil(6 * len(rows) / most)
    kept |= {max(bisect_left(rows, end_s, key=time_of) - 1, 0) for end_s in ends_s}
    for start in range(0, len(rows), width):
        few = range(start, min(start + width, len(rows)))
        kept |= {few[-1], min(few, key=lambda n: rows[n][2]), max(few, key=lambda n: rows[n][2])}
    return [rows[n] for n in sorted(kept)]
