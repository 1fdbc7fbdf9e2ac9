"""Samples around some moments of a long run, read from its batches, because its kept curve is coarser."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from functools import reduce
from operator import or_

from django.db.models import Q

from runs.models import Run, RunCurve
from runs.models.batch import in_units, unpack_whole

#: More conditions would be too many for SQLite; neighbouring ones are joined.
MOST_WINDOWS = 100
#: Milliseconds and millijoules of samples, by writer and device.
Samples = dict[tuple[int, str], list[list]]


def samples_around(run: Run, kept: RunCurve, moments_s: list[float]) -> Samples:
    """Return the last sample before and the first after each moment, in seconds of the run, of every device.

    Only batches near the moments are read. All samples of an interval that the curve covers lie in it.
    """
    offsets_s = {writer.pk: run.seconds_to(writer.started_at) for writer in run.writers.all()}
    near_s = kept.interval_ms / 1000
    moments = sorted({moment_s - offset_s for moment_s in moments_s for offset_s in offsets_s.values()})
    conditions = (
        Q(run=run, first_t_s__range=(start_s - near_s - kept.longest_s, end_s + near_s), last_t_s__gte=start_s - near_s)
        for start_s, end_s in _windows(moments, 2 * near_s)
    )
    batches = run.batches.filter(reduce(or_, conditions), pk__lte=kept.through_id)
    found: Samples = defaultdict(lambda: [[], [], [], []])
    for writer, series in batches.order_by("first_t_s").values_list("writer_id", "series"):
        own = [round(1000 * (moment_s - offsets_s[writer])) for moment_s in moments_s]
        for key, columns in (unpack_whole(bytes(series)) if series else {}).items():
            for place in _places(columns[0], own):
                for all_of, column in zip(found[writer, key], columns, strict=True):
                    all_of.append(column[place])
    return {key: [in_units(column) for column in columns] for key, columns in found.items()}


def _windows(moments: list[float], apart: float) -> list[tuple[float, float]]:
    """Join moments that are less than this apart; at a greater distance too until there are few enough windows."""
    windows = [(moment, moment) for moment in moments]
    while True:
        joined = windows[:1]
        for start, end in windows[1:]:
            if start - joined[-1][1] <= apart:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        if len(joined) <= MOST_WINDOWS:
            return joined
        apart *= 2


def _places(t: list, moments: list[int]) -> list[int]:
    """Return the places of the samples before and after the moments; at the ends of a batch, its first and last."""
    few = moments[bisect_left(moments, t[0]) : bisect_right(moments, t[-1])] if t else []
    found = {0, len(t) - 1} if t else set()
    for moment in few:
        place = bisect_right(t, moment)
        found |= {max(place - 1, 0), min(place, len(t) - 1)}
    return sorted(found)
