"""What a run lacks: rows of what was left out, why, and how often, as the wire has them."""

from collections.abc import Iterable
from typing import TypedDict

#: Further things are counted together: a page has no room for thousands, nor has a row of the database.
MOST_ROWS = 100
FURTHER = "other values"


class LeftOut(TypedDict):
    """`metric 'loss'`, `not a finite number`, 3 times."""

    what: str
    reason: str
    count: int


def added_up(*lists: Iterable[LeftOut]) -> list[LeftOut]:
    """The rows of all lists, those that say the same as one with their counts added, in the order of the first."""
    counts: dict[tuple[str, str], int] = {}
    for row in (row for rows in lists for row in rows):
        key = (row["what"], row["reason"])
        if key not in counts and len(counts) >= MOST_ROWS:
            key = (FURTHER, row["reason"])
        counts[key] = counts.get(key, 0) + row["count"]
    return [LeftOut(what=what, reason=reason, count=count) for (what, reason), count in counts.items()]


def total(rows: Iterable[LeftOut]) -> int:
    return sum(row["count"] for row in rows)
