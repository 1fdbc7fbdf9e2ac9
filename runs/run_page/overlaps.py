"""Which runs measured the same process, host or device at the same time as a run, for its page."""

from typing import NamedTuple

from runs.models import Run

#: So many are linked; of more the number is told.
MOST_LINKED = 10
WORDS = {
    "process": "measured the same process",
    "device": "held the same accelerator",
    "host": "ran on the same host, and shared its idle power",
}


class OverlappingRun(NamedTuple):
    """Runs that have one thing in common with a run: those that the reader may see, and how many there are beside."""

    words: str
    runs: list[Run]
    others: int


def overlaps_of(run: Run, user) -> list[OverlappingRun]:
    """The runs that overlapped, by what they share."""
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
