"""Where an upload belongs: its run, its writer, and the devices that the writer has described."""

from datetime import timedelta
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from runs.ingest.bodies import WriterBody
from runs.ingest.clock import Clock, ClockReading
from runs.ingest.keeping import RunDeleted
from runs.models import Arrival, DeletedRun, Project, Run, Writer
from runs.sql import uploads
from traceml_agent.limits import MAX_WRITERS

Lock = dict[str, str]
DEFAULT_WRITER = "main"
#: Shorter than any run may be silent.
A_MOMENT = timedelta(seconds=2)
OF_THE_RUN = ("id", "project_id", "run_id", "started_at", "last_seen_at", "energy_kwh", "emissions_kg")
OF_THE_WRITER = ("id", "project_id", "run_id", "key", "started_at", "clock_skew_s", "last_sha256")


class Place(NamedTuple):
    """A run and a writer of it (None if that is new) with a few of their columns, and the keys of its devices."""

    run: Run
    writer: Writer | None
    described: set[str]

    def told(self, sha256: str) -> bool:
        """Whether this header or end is the last one that the writer sent, a moment ago.

        Later repeats are stored again: from a client that sends no times, they show that the run goes on.
        """
        is_last = self.writer is not None and sha256 and self.writer.last_sha256 == sha256
        return bool(is_last and self.run.last_seen_at > timezone.now() - A_MOMENT)


def key_of(data: WriterBody) -> str:
    return data.get("writer") or DEFAULT_WRITER


def find(project: Project, run_id: Any, data: WriterBody, lock: Lock | None = None) -> Place | None:
    """Return where an upload belongs; None if the project has no such run. Within a transaction, `lock` is KEEP or TAKE
    of `runs.sql.uploads`.
    """
    rows = uploads.place(project.pk, run_id, key_of(data), lock)
    if not rows:
        return None
    pk, started_at, last_seen_at, energy_kwh, emissions_kg, writer_pk, *of_writer, _ = rows[0]
    values = (pk, project.pk, run_id, started_at, last_seen_at, energy_kwh, emissions_kg)
    run = Run.from_db(connection.alias, OF_THE_RUN, values)
    if writer_pk is None:
        return Place(run, None, set())
    writer = Writer.from_db(connection.alias, OF_THE_WRITER, (writer_pk, project.pk, pk, key_of(data), *of_writer))
    return Place(run, writer, {key for *_, key in rows if key is not None})


def place_of(project: Project, run_id: Any, data: WriterBody, lock: Lock | None = None) -> Place:
    """The same for what only an announced run may send. Raises RunDeleted or Run.DoesNotExist."""
    place = find(project, run_id, data, lock)
    if place is None:
        refuse_deleted(project, run_id)
        raise Run.DoesNotExist
    return place


def refuse_deleted(project: Project, run_id: Any) -> None:
    """Raise RunDeleted if the run, or its project, was deleted."""
    is_here = Project.objects.filter(pk=project.pk).exists()
    if not is_here or DeletedRun.objects.filter(project=project, run_id=run_id).exists():
        raise RunDeleted


def writer_of(run: Run, data: WriterBody, is_first: bool = False) -> Writer:
    """Return the writer that a request names, created if new; `is_first` if the run has none yet.

    What is stored about a known writer takes precedence over the request. Raises ValidationError for an impossible
    start, or one writer too many.
    """
    if not is_first and run.writers.count() >= MAX_WRITERS:
        raise ValidationError({"writer": f"exceeds the limit of {MAX_WRITERS:,} processes per run"})
    started_at, skew_s = _start_of(run, data)
    about = {"started_at": started_at, "clock_skew_s": skew_s, "rank": data.get("rank")}
    host, key = data.get("host") or "", key_of(data)
    new = Writer(project_id=run.project_id, run=run, key=key, host=host, **about)
    # The same request may be on its way twice: the unique constraint decides.
    Writer.objects.bulk_create([new], ignore_conflicts=True)
    return run.writers.get(key=key)


def _start_of(run: Run, data: WriterBody) -> ClockReading:
    """Return when a writer began by the portal's clock; the run's own start if the request doesn't say."""
    clock = Clock.of(data)
    if "writer_started_at" in data:
        return clock.read(data["writer_started_at"], "writer_started_at")
    started_at: Any = data.get("started_at", run.started_at)  # only a header has it
    return ClockReading(run.started_at, clock.read(started_at, "started_at").skew_s)


def described_lately(writer: Writer) -> set[str]:
    """Return the keys of devices whose description has arrived, but is not folded yet."""
    told = Arrival.objects.filter(writer=writer).values_list("told__devices", flat=True)
    return {device["key"] for devices in told for device in devices or ()}
