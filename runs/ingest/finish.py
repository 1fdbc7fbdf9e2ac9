"""The end of a writer, and of the run when no other writer still runs."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from runs.ingest import totals, writers
from runs.ingest.removal import locked_run
from runs.models import Project, Run, Writer


def record_finish(project: Project, run_id, data: dict) -> Run:
    """Store a writer's final counters and status.

    Raises Run.DoesNotExist for an unknown run, RunDeleted for a deleted one.
    """
    with transaction.atomic():
        run = locked_run(project, run_id)
        writer = writers.writer_of(run, data)
        devices = writers.describe_devices(writer, data["devices"])
        writers.count_samples(writer, devices, data["samples"])
        writer.status = data["status"]
        writer.dropped_records = data["dropped_records"]
        writer.save()
        run.last_seen_at = timezone.now()
        run.exception = data["exception"] or run.exception
        # Before the totals, which count the energy of failed and cancelled runs by itself.
        _end_run(run, writer, data["ended_at"])
        totals.refresh(run, writer, devices)
    return run


def _end_run(run: Run, writer: Writer, ended_at: datetime) -> None:
    """End the run unless another host still writes; an attempt that fell silent before this one doesn't count."""
    all_writers = list(run.writers.all())
    run.dropped_records = sum(each.dropped_records for each in all_writers)
    still_writing = any(
        each.status == Run.Status.RUNNING and each.heard_until > writer.started_at for each in all_writers
    )
    if not still_writing:
        at_once = [each for each in all_writers if each.heard_until >= writer.started_at] or [writer]
        failed = any(each.status == Run.Status.FAILED for each in at_once)
        run.status = Run.Status.FAILED if failed else writer.status
        run.ended_at = max(ended_at, run.ended_at or ended_at)
