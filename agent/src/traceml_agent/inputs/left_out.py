"""What a run did not keep of what it was given: counted, logged once, and sent along for the run's page."""

from __future__ import annotations

from traceml_agent import limits
from traceml_agent.messages import warn

#: Kinds that are counted separately; all others are counted in one last row.
MAX_KINDS = 49
FURTHER = ("other values", "too many different ones to list")


class LeftOut:
    """What a run did not keep, counted by what it was and why, and logged once each.

    There is no lock, since any thread, signal handler or forked child may note something while another one does. An
    existing count is changed in place.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], list[int]] = {}

    def note(self, what: str, reason: str, count: int = 1) -> None:
        """Count something that is not kept: `what`, in words with its name (`metric 'loss'`), and the reason."""
        kind = limits.clean(what) or "a value", limits.clean(reason) or "unknown"
        if kind not in self._cells and len(self._cells) >= MAX_KINDS:
            kind = FURTHER
        if kind not in self._cells:
            warn(f"{kind[0]} left out: {kind[1]}")
        self._cells.setdefault(kind, [0])[0] += count

    def rows(self) -> list[dict]:
        """Everything noted so far, in the format of docs/wire.md: at most 50 rows of `what`, `reason` and `count`."""
        cells = list(self._cells.items())
        return [
            {"what": what, "reason": reason, "count": min(cell[0], limits.MAX_COUNT)} for (what, reason), cell in cells
        ]

    def clear(self) -> None:
        """Forget what a former run told."""
        self._cells.clear()
