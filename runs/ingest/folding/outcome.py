"""How a run ended, derived from the ends of its writers in whatever order they arrive."""

from collections.abc import Iterable
from datetime import datetime

from runs.ingest.bodies import ToldEnd
from runs.models import Run, Writer
from runs.models.writer import attempts_of

#: If simultaneous processes ended differently, the first of these is the cause: it took the others down.
CAUSES = (Run.Status.FAILED, Run.Status.CANCELLED, Run.Status.STOPPED, Run.Status.COMPLETED)


def end(run: Run, writer: Writer, told: ToldEnd) -> None:
    """End a writer. A later report replaces an earlier one: the cause may only be known late. Saves nothing."""
    ended_at = datetime.fromisoformat(told["ended_at"])
    writer.status, writer.exception, writer.ended_at = told["status"], told["exception"], ended_at
    writer.dropped_records = told["dropped_records"]
    if writer.clock_skew_s and ended_at < writer.heard_until:
        # The clock was wrong and the first data arrived late: the end reveals when it began.
        writer.started_at -= writer.heard_until - ended_at
        run.started_at = min(run.started_at, writer.started_at)


def settle(run: Run, writers: Iterable[Writer]) -> None:
    """Set a run's status, end and exception from its last attempt; saves nothing.

    An attempt that was killed silently does not prevent a later one from ending the run.
    """
    last = attempts_of(writers)[-1]
    if any(writer.status == Run.Status.RUNNING for writer in last):
        run.status, run.ended_at, run.exception = Run.Status.RUNNING, None, ""
        return
    run.status = min((writer.status for writer in last), key=CAUSES.index)
    run.ended_at = max(map(_end, last))
    first = min((writer for writer in last if writer.status == run.status), key=_end)
    run.exception = first.exception


def _end(writer: Writer):
    return writer.ended_at or writer.heard_until
