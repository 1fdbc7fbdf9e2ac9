"""The end of a writer, and of the run if no other writer is still running."""

from django.utils import timezone

from runs.ingest import outcome, totals, writers
from runs.ingest.batch import store_series
from runs.ingest.bodies import FinishBody
from runs.ingest.clock import Clock
from runs.ingest.removal import locked_run, upload_of
from runs.models import Device, Project, Run, Writer


def record_finish(project: Project, run_id, data: FinishBody, sha256: str = "") -> Run:
    """Store a writer's final counters and status. A later report replaces it: the cause may only be known late.

    Raises Run.DoesNotExist for an unknown run, RunDeleted for a deleted one, ValidationError for an impossible end.
    """
    if run := writers.just_told(project, run_id, data, sha256):
        return run
    with upload_of(project):
        run = locked_run(project, run_id)
        if told := writers.just_told(project, run_id, data, sha256):
            return told
        writer = writers.writer_of(run, data)
        devices = writers.describe_devices(run, writer, data["devices"])
        known_s = writer.last_t_s
        writers.count_samples(run, writer, devices, data)
        _keep_what_is_new(run, writer, devices, sha256, data, known_s)
        writers.take_left_out(writer, data)
        run.overlap(data.get("overlaps", ()))
        writer.status, writer.exception = data["status"], data["exception"]
        writer.ended_at = Clock.of(data).read(data["ended_at"], "ended_at").at
        writer.dropped_records, writer.last_sha256 = data["dropped_records"], sha256
        _begin_before_the_end(run, writer)
        writer.save()
        run.last_seen_at = timezone.now()
        run.dropped_records = sum(run.writers.values_list("dropped_records", flat=True))
        # Before the totals, which count the energy of failed and cancelled runs separately.
        outcome.settle(run)
        totals.refresh(run, writer, devices)
    return run


def _keep_what_is_new(
    run: Run, writer: Writer, devices: dict[str, Device], sha256: str, data: FinishBody, known_s: float
) -> None:
    """Store final counters that no batch contained, like those of a batch, under a name that no agent can use."""
    new = [sample for sample in data["samples"] if sample["t_s"] > known_s and sample["device"] in devices]
    if new:
        store_series(run, writer, f"end of {writer.pk} at {writer.last_t_s!r}", sha256, new)


def _begin_before_the_end(run: Run, writer: Writer) -> None:
    """Correct the start if the clock was wrong and the first data arrived late: the end reveals it."""
    if writer.clock_skew_s and writer.ended_at < writer.heard_until:
        writer.started_at -= writer.heard_until - writer.ended_at
        run.started_at = min(run.started_at, writer.started_at)
