"""Data that was left out of a run: what, why and how often, in the wire format."""

from collections.abc import Iterable
from typing import TypedDict

#: Beyond this many, the others are counted together: neither a page nor a database row has room for thousands.
MOST_ROWS = 100
FURTHER = "other values"
#: The one thing whose energy is missing with it; all other rows are details of a complete figure.
UNREPORTED = "seconds of the run"


class LeftOut(TypedDict):
    """Example: `metric 'loss'`, `not a finite number`, 3 times."""

    what: str
    reason: str
    count: int


def added_up(*lists: Iterable[LeftOut]) -> list[LeftOut]:
    """The rows of all lists, with equal ones merged and their counts added, in order of first appearance."""
    counts: dict[tuple[str, str], int] = {}
    for row in (row for rows in lists for row in rows):
        key = (row["what"], row["reason"])
        if key not in counts and len(counts) >= MOST_ROWS:
            key = (FURTHER, row["reason"])
        counts[key] = counts.get(key, 0) + row["count"]
    return [LeftOut(what=what, reason=reason, count=count) for (what, reason), count in counts.items()]


def total(rows: Iterable[LeftOut]) -> int:
    return sum(row["count"] for row in rows)
