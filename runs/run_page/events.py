"""What happened to a run, as far as it is stored: beginnings, silences, ends, corrections."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from runs.figures import units
from runs.models import Run, RunRevision, Writer
from runs.models.run import attempts_of
from runs.silence import longest_silence

#: Data that came so much later than the run began was kept by the agent meanwhile.
LATE = timedelta(minutes=5)
#: A run on a bad line may fall silent hundreds of times: the last silences say enough.
MOST_SILENCES = 5
#: Of a run with a thousand processes the first and the last events say enough.
ENDS_SHOWN = 30


class Event(NamedTuple):
    at: datetime
    word: str
    detail: str = ""


def events(run: Run, writers: list[Writer], arrivals: Iterable[datetime], revisions: list[RunRevision]) -> list[Event]:
    """All that is known to have happened, in the order of time; `arrivals` are those of the run's batches."""
    found = [*_beginnings(run, writers), *silences(run, arrivals), *_ends(run, writers), *_corrections(revisions)]
    if run.series_removed_at:
        found.append(Event(run.series_removed_at, "Samples removed", "as its project keeps them for a limited time"))
    if run.archived_at:
        found.append(Event(run.archived_at, "Archived", "left out of lists, counted in totals"))
    found.sort(key=lambda event: event.at)
    if len(found) > 2 * ENDS_SHOWN:
        middle = found[ENDS_SHOWN:-ENDS_SHOWN]
        found[ENDS_SHOWN:-ENDS_SHOWN] = [Event(middle[0].at, f"{len(middle):,} further events", "of its processes")]
    return found


def _beginnings(run: Run, writers: list[Writer]) -> list[Event]:
    by_start = sorted(writers, key=lambda writer: writer.started_at)
    first_of_attempts = {id(attempt[0]) for attempt in attempts_of(writers)}
    late = run.received_at - run.started_at > LATE
    return [
        Event(run.started_at, "Started", _on(*by_start[:1])),
        Event(run.received_at, "First data arrived", "kept by the agent until then" if late else ""),
        *(Event(writer.started_at, _beginning(writer, first_of_attempts), _on(writer)) for writer in by_start[1:]),
    ]


def _beginning(writer: Writer, first_of_attempts: set[int]) -> str:
    if id(writer) in first_of_attempts:
        return "Another attempt began"
    return "Another process began" if writer.rank is None else f"Rank {writer.rank} began"


def silences(run: Run, arrivals: Iterable[datetime]) -> list[Event]:
    """Where the run counted as lost, and where late data revived it."""
    limit = longest_silence(run.upload_interval_s)
    known = sorted({run.received_at, *arrivals, run.last_seen_at})
    gaps = [(before, after) for before, after in pairwise(known) if after - before > limit][-MOST_SILENCES:]
    found = []
    for before, after in gaps:
        silent = units.text("elapsed", (after - before).total_seconds())
        found += [Event(before + limit, "Lost"), Event(after, "Heard of again", f"after {silent} of silence")]
    if run.state == Run.LOST:
        found.append(Event(run.last_seen_at + limit, "Lost", "late data revives it"))
    return found


def _ends(run: Run, writers: list[Writer]) -> list[Event]:
    gave_up = (Run.Status.FAILED, Run.Status.CANCELLED, Run.Status.STOPPED)
    found = [
        Event(writer.ended_at or writer.heard_until, _ending(writer), _on(writer))
        for writer in writers
        if len(writers) > 1 and writer.status in gave_up
    ]
    if run.ended_at and run.status != Run.Status.RUNNING:
        found.append(Event(run.ended_at, run.get_status_display(), run.exception))
    return found


def _ending(writer: Writer) -> str:
    name = "A process" if writer.rank is None else f"Rank {writer.rank}"
    return f"{name} failed" if writer.status == Run.Status.FAILED else f"{name} was {writer.status}"


def _on(writer: Writer | None = None) -> str:
    return f"on {writer.host}" if writer and writer.host else ""


def _corrections(revisions: list[RunRevision]) -> list[Event]:
    return [
        Event(
            revision.replaced_at,
            "Estimated anew",
            f"{revision.reestimation.reason}; it had been {units.text('energy', revision.energy_kwh)} and "
            f"{units.text('emissions', revision.emissions_kg)} of CO₂e",
        )
        for revision in revisions
    ]
