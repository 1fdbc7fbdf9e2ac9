"""What the spool file of a run begins with; with the run's id, file and host, all that a handle is made of."""

from __future__ import annotations

import contextlib
import os

from traceml_agent.host import identity, job
from traceml_agent.messages import iso
from traceml_agent.spool import recording
from traceml_agent.spool.files import spool_files
from traceml_agent.spool.names import run_of
from traceml_agent.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceml_agent.tracking.run import Run


def header(run: Run) -> dict:
    """The first record, with what was told about the run on an earlier day too."""
    started_at = iso(run._started_wall_s)
    found = {
        "model": run.model,
        "kind": run.kind,
        "name": run.name,
        "tags": run.tags,
        "params": run.params,
        "started_at": started_at,
        "host": identity.host_label(run.settings),
        "agent_version": __version__,
        "flush_s": run.settings.upload_s,
        "environment": run._environment,
        "writer": run.writer,
        "writer_started_at": started_at,
        "portal": run.settings.url,
        "clock_s": run._started_at,
        "wall_s": run._started_wall_s,
        "about": run._about,
        "first_run": run.first_id,
        "turn": run._turn,
    } | ({"rank": run.rank} if job.size() > 1 else {})
    return recording.within_limits(recording.enriched(found, run._journal.told_about))


def first_run(origin: tuple) -> str:
    """The id of the run of the first day, which the runs of all its days have in common."""
    return origin[3].get("first_run") or origin[0]


def is_gone(origin: tuple) -> bool:
    """Whether the run's file was on this host and is delivered by now."""
    return origin[2] == identity.host_name() and bool(origin[1]) and not os.path.exists(origin[1])


def later_day(origin: tuple) -> tuple | None:
    """What a handle of the next day's run is made of; None if there is none, or its file is not there yet."""
    for path in spool_files(os.path.dirname(origin[1])):
        with contextlib.suppress(OSError):  # just delivered
            header: dict = next((record["body"] for _, record in recording.read(path) if record), {})
            later = (run_of(path), path, origin[2], header)
            is_next = "child_of" not in header and first_run(later) == first_run(origin)
            if is_next and header["turn"] > origin[3].get("turn", 0) and not recording.is_finished(path):
                return later
    return None
