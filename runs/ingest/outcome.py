"""How a run ended, derived from the ends of its writers in whatever order they arrive."""

from runs.models import Run, Writer
from runs.models.run import attempts_of

#: If simultaneous processes ended differently, the first of these is the cause: it took the others down.
CAUSES = (Run.Status.FAILED, Run.Status.CANCELLED, Run.Status.STOPPED, Run.Status.COMPLETED)


def settle(run: Run) -> None:
    """Set a run's status, end and exception from its last attempt; saves nothing.

    An attempt that was killed silently does not prevent a later one from ending the run.
    """
    last = attempts_of(run.writers.all())[-1]
    if any(writer.status == Run.Status.RUNNING for writer in last):
        run.status, run.ended_at, run.exception = Run.Status.RUNNING, None, ""
        return
    run.status = min((writer.status for writer in last), key=CAUSES.index)
    run.ended_at = max(map(_end, last))
    first = min((writer for writer in last if writer.status == run.status), key=_end)
    run.exception = first.exception


def _end(writer: Writer):
    return writer.ended_at or writer.heard_until
