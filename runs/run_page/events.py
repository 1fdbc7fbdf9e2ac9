"""The events of a run: starts, silences, ends, recalculations."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from runs.figures import units
from runs.models import Batch, Run, RunCurve, RunRevision, Writer
from runs.models.writer import attempts_of
from runs.silence import longest_silence

#: If the first data arrived later than this, the agent had stored it in the meantime.
LATE = timedelta(minutes=5)
#: A run on a bad connection may fall silent hundreds of times; only the last silences are shown.
MOST_SILENCES = 5
#: How many of the first and of the last events are shown.
ENDS_SHOWN = 30


class Event(NamedTuple):
    at: datetime
    word: str
    detail: str = ""


def events(
    run: Run, writers: list[Writer], silent: Iterable[tuple[datetime, datetime]], revisions: list[RunRevision]
) -> list[Event]:
    """Return all known events in chronological order; `silent` is what `gaps` returns."""
    found = [*_beginnings(run, writers), *silences(run, silent), *_ends(run, writers), *_corrections(revisions)]
    if run.series_removed_at:
        found.append(Event(run.series_removed_at, "Samples removed", "after the time that the project keeps them"))
    if run.archived_at:
        found.append(Event(run.archived_at, "Archived", "hidden from lists, included in totals"))
    found.sort(key=lambda event: event.at)
    if len(found) > 2 * ENDS_SHOWN:
        middle = found[ENDS_SHOWN:-ENDS_SHOWN]
        found[ENDS_SHOWN:-ENDS_SHOWN] = [Event(middle[0].at, f"{len(middle):,} more events", "of its processes")]
    return found


def _beginnings(run: Run, writers: list[Writer]) -> list[Event]:
    by_start = sorted(writers, key=lambda writer: writer.started_at)
    first_of_attempts = {id(attempt[0]) for attempt in attempts_of(writers)}
    late = run.received_at - run.started_at > LATE and not run.source
    return [
        Event(run.started_at, "Started", _on(*by_start[:1])),
        Event(run.received_at, "First data arrived", "stored by the agent until then" if late else ""),
        *(Event(writer.started_at, _beginning(writer, first_of_attempts), _on(writer)) for writer in by_start[1:]),
    ]


def _beginning(writer: Writer, first_of_attempts: set[int]) -> str:
    if id(writer) in first_of_attempts:
        return "Another attempt started"
    return "Another process started" if writer.rank is None else f"Rank {writer.rank} started"


def gaps(run: Run, kept: RunCurve | None, batches: list[Batch]) -> list[tuple[datetime, datetime]]:
    """Return between which two arrivals the run was silent for so long that it counted as lost, the last ones only."""
    limit, found = longest_silence(run.upload_interval_s), []
    before = run.received_at
    if kept and kept.heard_at:
        before = kept.heard_at
        found = [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in kept.silences]
    known = sorted({before, *(batch.received_at for batch in batches), run.last_seen_at})
    found += [(start, end) for start, end in pairwise(known) if end - start > limit]
    return found[-MOST_SILENCES:]


def silences(run: Run, gaps: Iterable[tuple[datetime, datetime]]) -> list[Event]:
    """Return when the run counted as lost, and when late data revived it."""
    limit, found = longest_silence(run.upload_interval_s), []
    for start, end in gaps:
        silent = units.text("elapsed", (end - start).total_seconds())
        found += [Event(start + limit, "Lost"), Event(end, "Data received again", f"after {silent} of silence")]
    if run.state == Run.LOST:
        found.append(Event(run.last_seen_at + limit, "Lost", "late data would revive it"))
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
            "Recalculated",
            f"{revision.reestimation.reason}; previously {units.text('energy', revision.energy_kwh)} and "
            f"{units.text('emissions', revision.emissions_kg)} of CO₂e",
        )
        for revision in revisions
    ]
