"""Runs that measured the same process, host or device at the same time as a run."""

from typing import NamedTuple

from runs.models import Run

#: The most runs that are linked; any others are only counted.
MOST_LINKED = 10
WORDS = {
    "process": "measured the same process",
    "device": "used the same accelerator",
    "host": "ran on the same host, and shared its idle power",
}


class OverlappingRun(NamedTuple):
    """Runs that share one thing with a run: those that the reader may see, and the number of others."""

    words: str
    runs: list[Run]
    others: int


def overlaps_of(run: Run, user) -> list[OverlappingRun]:
    """Return the runs that overlapped, by what they share."""
    if not run.overlaps:
        return []
    ids = [run_id for run_id, _ in run.overlaps]
    seen = {
        str(each.run_id): each for each in Run.objects.for_user(user).addressed(ids).select_related("tracked_model")
    }
    found = []
    for shares, words in WORDS.items():
        mine = [run_id for run_id, what in run.overlaps if what == shares]
        linked = [seen[run_id] for run_id in mine if run_id in seen][:MOST_LINKED]
        if mine:
            found.append(OverlappingRun(words, linked, len(mine) - len(linked)))
    return found
