"""The runs that this process measures."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceml_agent.tracking.run import Run

#: The runs that were started here and have not ended, oldest first.
started: list[Run] = []


def active() -> list[Run]:
    """The runs that this process measures, oldest first."""
    return [run for run in started if run.is_measuring]


def last() -> Run | None:
    """The latest run of this process that is still in progress."""
    mine = active()
    return mine[-1] if mine else None


def let_others_read(run: Run) -> None:
    """Make the other runs of this process read their sensors when one begins or ends: what they share changes then."""
    for other in active():
        if other is not run:
            other._sampler.catch_up(older_than_s=0.0)
