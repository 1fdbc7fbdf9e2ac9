"""A run that goes on for days, such as a service's: with each day in UTC it ends, and goes on as the next day's run.

So a service that never stops has a run for each day, with its end, its chart and its calls, and none grows for ever.
Nothing is lost or counted twice: the next run's counters begin at the last reading of the former one's, and calls go on
being counted in the same shared memory, by this process and all others.
"""

from __future__ import annotations

import time

from traceml_agent.host import identity, job
from traceml_agent.messages import guarded, iso, warn
from traceml_agent.spool.folder import board_of
from traceml_agent.tracking.header import header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceml_agent.measuring.meter import Meter
    from traceml_agent.tracking.run import Run

#: What in a shared name of a run stands for the day, so that each process knows the name of the next day's run.
DAY = "{day}"


def run_id(shared: str, run: Run) -> str:
    """The run's id from a name that several processes share. Without a place for the day, later days are added."""
    day = iso(_day(run) * _day_s(run)) if run.settings.rotate_h else ""
    if DAY not in shared and hasattr(run, "first_id"):
        shared = f"{shared}/{DAY}"
    return identity.run_id_of(shared.replace(DAY, day))


def _day_s(run: Run) -> float:
    return run.settings.rotate_h * 3600


def _day(run: Run) -> int:
    """The number of the day in which the run began, since 1970; a day has `rotate_h` hours."""
    return int(run._started_wall_s // _day_s(run))


def is_due(run: Run) -> bool:
    """Whether the run is for use of a model and its day is over. A budget is for the whole run, so it goes on."""
    if run.kind != "inference" or not run.settings.rotate_h or run.budget.is_set or job.size() > 1:
        return False
    return time.time() // _day_s(run) > _day(run) and not run._journal.has_open_stage


@guarded()
def rotate(run: Run) -> None:
    """End the run, and go on as the next day's. Called by the sampler's thread."""
    with run._ending:
        if run.is_measuring and not run._is_ending:
            with run._writing:  # or another thread's record might come to the wrong day
                run._sampler.begin_anew(lambda: _next_day(run))


def _next_day(run: Run) -> tuple[float, list[Meter]]:
    """End the day's run with the last reading and begin the next. Returns its start and its meters."""
    former, board, journal = run._sampler.meters, run.board, run._journal
    for meter in former:
        if meter.hold is not None and meter.at:
            meter.hold.end(meter.at)
    run._neighbours.end(time.monotonic())
    run._write()
    if board is None or not board.begin_anew(journal.told["calls"]):
        warn("the run goes on for another day: there is no room for its next day's calls")
        return run._started_at, former
    at = min((meter.at for meter in former if meter.at), default=time.monotonic())
    run._spool.append("finish", run._finish("completed", "", at - run._started_at))
    run._spool.flush_to_disk()
    run._spool.close()
    run.begin_day(at)
    board.share(board_of(run._spool.path) if run._spool.path else "")
    journal.begin_anew(at)
    meters = [meter.anew(run._neighbours.hold(meter.facts) if meter.hold else None) for meter in former]
    run._spool.append("header", header(run))
    run._hand_over()
    return at, meters
