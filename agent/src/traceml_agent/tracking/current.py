"""The runs that this process measures."""

from __future__ import annotations

import sys
import time

from traceml_agent.delivery import uploader
from traceml_agent.host import endings
from traceml_agent.messages import guarded
from traceml_agent.tracking import notebook

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
    mine = [run for run in active() if not run.only]  # else it is about something else than this process
    return mine[-1] if mine else None


def let_others_read(run: Run) -> None:
    """Make the other runs of this process read their sensors when one begins or ends: what they share changes then."""
    for other in active():
        if other is not run:
            other._sampler.catch_up(older_than_s=0.0)


@guarded()
def end_of_process() -> None:
    """Stop the runs in progress, and give the uploader time to deliver. A crash shows in `sys.last_type`.

    Without a crash the exit code may still tell of a failure: the uploader sees that.
    """
    crash = None if notebook.is_interactive() else getattr(sys, "last_type", None)
    for run in active():
        how = endings.of_exception(crash, getattr(sys, "last_value", None), run.kind)
        run._end(*how, unsure=crash is None and not notebook.is_interactive())
    uploaders = uploader.all_of_this_process()
    ends_at = time.monotonic() + max((each.flush_s for each in uploaders), default=0.0)
    for each in uploaders:
        try:
            each.finish(min(each.flush_s, ends_at - time.monotonic()))
        except KeyboardInterrupt:  # the user won't wait; the uploader goes on by itself
            ends_at = 0.0
        each.close()
    if crash is KeyboardInterrupt:
        endings.stay_interrupted()
