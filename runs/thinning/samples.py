"""Samples of one device as eight columns of whole numbers: four counters, and the lows and highs of two rates.

In the order of Sample's fields: ms, ms, ms, mJ; then utilisation from and to, and power from and to (see RATES).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise, repeat
from operator import itemgetter, le, lt, mul, sub, truediv

COUNTERS = 4
T, ELAPSED, BUSY, ENERGY = range(COUNTERS)
#: Millionths of utilisation, and milliwatts.
RATES = {BUSY: 1_000_000, ENERGY: 1_000}


def joined(kept: list[list] | None, added: list[list]) -> tuple[list[list], list[list]]:
    """Return the kept samples of a device that stay as they are, and those to thin, each with its lows and highs.

    Usually these are the last kept one and the new ones; if new ones came late, they find their place among all.
    Repeated ones are left out, and those with which a counter would go back.
    """
    nothing: list[list] = [[] for _ in range(COUNTERS + 4)]
    before = [column[-1] for column in kept] if kept else [0] * COUNTERS
    t, elapsed = added[T], added[ELAPSED]
    is_in_order = all(map(lt, t, islice(t, 1, None))) and all(map(le, elapsed, islice(elapsed, 1, None)))
    if is_in_order and (not kept or (t[0] > before[T] and elapsed[0] >= before[ELAPSED])):
        busy, power = (_rates(before, added, column) for column in (BUSY, ENERGY))
        news = [*added, busy, busy, power, power]
        if not kept:
            return nothing, news
        return [column[:-1] for column in kept], [[last, *new] for last, new in zip(before, news, strict=True)]
    rows = list(zip(*kept, strict=True)) if kept else []
    known = {row[T] for row in rows}
    rows += [row for row in zip(*added, strict=True) if row[T] not in known]
    ordered: list[tuple] = []
    for row in sorted(rows, key=itemgetter(T, ELAPSED)):
        if not ordered or (row[T] > ordered[-1][T] and row[ELAPSED] >= ordered[-1][ELAPSED]):
            ordered.append(row if len(row) > COUNTERS else (*row, *_bounds(ordered[-1] if ordered else (), row)))
    return nothing, [list(column) for column in zip(*ordered, strict=True)]


def _bounds(before: Sequence, row: tuple) -> list[float | None]:
    """Return lowest and highest utilisation and power of one new sample, each the same."""
    one = [[value] for value in row]
    return [rate for column in (BUSY, ENERGY) for rate in _rates(before or [0] * COUNTERS, one, column) * 2]


def _rates(before: Sequence, columns: list[list], which: int) -> list:
    """Return a counter's growth per elapsed second since the previous sample (see RATES); None where unknown."""
    column, elapsed, factor = columns[which], columns[ELAPSED], RATES[which]
    if None in column or before[which] is None:
        values = [before[which], *column]
        grown = [None if a is None or b is None else b - a for a, b in pairwise(values)]
    else:
        grown = [column[0] - before[which], *map(sub, islice(column, 1, None), column)]
    passed = [elapsed[0] - before[ELAPSED], *map(sub, islice(elapsed, 1, None), elapsed)]
    if None in grown or min(passed) <= 0:
        return [factor * g / p if g is not None and p > 0 else None for g, p in zip(grown, passed, strict=True)]
    return list(map(mul, map(truediv, grown, passed), repeat(factor)))


def thinned(columns: list[list], interval_ms: int, moments: Iterable[int] = ()) -> list[list]:
    """Return the last sample of each interval, and of each moment the samples before and after it.

    The lows and highs become those of all samples since the one that is kept before.
    """
    t = columns[T]
    ends = {place for moment in moments for place in _around(t, moment)}
    start = 0
    while start < len(t):
        start = bisect_left(t, (t[start] // interval_ms + 1) * interval_ms, start + 1)
        ends.add(start)
    if len(ends) == len(t):
        return [*columns[:COUNTERS], *map(_whole, columns[COUNTERS:])]
    places = sorted(ends)
    last = [place - 1 for place in places]
    found = [[column[place] for place in last] for column in columns[:COUNTERS]]
    parts = list(zip([0, *places], places, strict=False))
    picks = zip(columns[COUNTERS:], (min, max) * 2, strict=True)
    return found + [_whole(_of_parts(column, parts, pick)) for column, pick in picks]


def _around(t: list[int], moment: int) -> Iterator[int]:
    """Yield the number of samples up to a moment, and with the one after it; with the one at it, just the former."""
    place = bisect_right(t, moment)
    if place:
        yield place
    if place < len(t) and not (place and t[place - 1] == moment):
        yield place + 1


def _of_parts(column: list, parts: list[tuple[int, int]], pick) -> list:
    if None in column:
        known = ([value for value in column[start:end] if value is not None] for start, end in parts)
        return [pick(values) if values else None for values in known]
    return [pick(column[start:end]) for start, end in parts]


def _whole(column: list) -> list:
    return [None if value is None else round(value) for value in column]
