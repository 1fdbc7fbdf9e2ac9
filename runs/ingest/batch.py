"""A batch of samples, stages, metrics and calls: stored once, however often it is sent."""

from django.db import transaction
from django.utils import timezone

from runs.ingest import about, metrics, outcome, totals, writers
from runs.ingest.removal import locked_run
from runs.models import Batch, Call, Project, Run, Stage, Writer
from runs.models.batch import Sample, pack


class BatchConflict(Exception):
    """Another batch with this id is stored already."""


def record_batch(project: Project, run_id, batch_id: str, sha256: str, data: dict) -> tuple[Run, bool]:
    """Store a batch. Returns the run and whether the batch is new.

    Raises Run.DoesNotExist for an unknown run, RunDeleted for a deleted one, BatchConflict for the same id with
    another digest, ValidationError for samples of undescribed devices.
    """
    with transaction.atomic():
        run = locked_run(project, run_id)
        stored = Batch.objects.filter(run=run, batch_id=batch_id).values_list("sha256", flat=True).first()
        if stored is not None:
            if stored != sha256:
                raise BatchConflict
            return run, False
        writer = writers.writer_of(run, data)
        devices = writers.describe_devices(writer, data["devices"])
        writers.count_samples(writer, devices, data["samples"])
        _store_batch(run, writer, batch_id, sha256, data)
        _store_stages(run, writer, data["stages"])
        _store_calls(run, writer, data["calls"])
        metrics.take_in(run, writer, data["metrics"])
        writers.take_left_out(writer, data)
        run.overlap(data.get("overlaps", ()))
        run.last_seen_at = timezone.now()
        changes = totals.UsageChanges()
        about.take_in(run, data.get("about"), changes)
        if run.status != Run.Status.RUNNING and writer.status == Run.Status.RUNNING:
            writer.save()
            outcome.settle(run)
        totals.refresh(run, writer, devices, changes)
    return run, True


def _store_batch(run: Run, writer: Writer, batch_id: str, sha256: str, data: dict) -> None:
    series: dict[str, list[Sample]] = {}
    for sample in data["samples"]:
        row = Sample(sample["t_s"], sample["elapsed_s"], sample["busy_s"], sample["energy_j"])
        series.setdefault(sample["device"], []).append(row)
    times = [sample["t_s"] for sample in data["samples"]]
    Batch.objects.create(
        project_id=run.project_id,
        run=run,
        writer=writer,
        batch_id=batch_id,
        sha256=sha256,
        first_t_s=min(times, default=None),
        last_t_s=max(times, default=None),
        sample_count=len(times),
        series=pack(series) if series else b"",
        metrics=[[metric["t_s"], metric["name"], metric["value"]] for metric in data["metrics"]],
    )


def _store_stages(run: Run, writer: Writer, stages: list[dict]) -> None:
    """A later report of a stage replaces an earlier one; one that has ended never opens again."""
    latest = {stage["id"]: stage for stage in stages}
    ended = Stage.objects.filter(writer=writer, key__in=latest, end_s__isnull=False).values_list("key", flat=True)
    rows = [
        Stage(
            project_id=run.project_id,
            run=run,
            writer=writer,
            key=key,
            name=stage["name"],
            parent=stage["parent"],
            start_s=stage["start_s"],
            end_s=stage["end_s"],
            total=stage.get("total"),
        )
        for key, stage in latest.items()
        if key not in set(ended)
    ]
    Stage.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["writer", "key"],
        update_fields=["name", "parent", "start_s", "end_s", "total"],
    )


def _store_calls(run: Run, writer: Writer, calls: list[dict]) -> None:
    """Calls are cumulative by method, so the larger count is the later one, whatever the order of arrival."""
    known = {call.method: call for call in Call.objects.filter(writer=writer)}
    for report in calls:
        call = known.setdefault(
            report["method"], Call(project_id=run.project_id, run=run, writer=writer, method=report["method"])
        )
        if report["calls"] >= call.calls:
            call.calls, call.items, call.busy_s = report["calls"], report["items"], report["busy_s"]
            call.save()
