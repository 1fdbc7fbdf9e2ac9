"""A run's header: creates the run, or adds a writer to it."""

import contextlib

from django.utils import timezone

from runs.ingest import outcome, totals, writers
from runs.ingest.bodies import HeaderBody
from runs.ingest.clock import Clock
from runs.ingest.removal import locked_run, model_named, upload_of
from runs.models import EmissionFactor, Project, Pue, Run

#: Facts about the run as a whole, which later headers of the same run do not change.
RUN_FIELDS = ("kind", "name", "tags", "params", "environment", "agent_version")


def record_header(project: Project, run_id, data: HeaderBody, member_id: int = 0, sha256: str = "") -> tuple[Run, bool]:
    """Store a header sent by this member. Returns the run and whether it is new; repeating it changes nothing."""
    if told := writers.just_told(project, run_id, data, sha256):
        return told, False
    factor, pue = EmissionFactor.objects.active(), Pue.objects.active()
    with upload_of(project):
        if told := writers.just_told(project, run_id, data, sha256):
            return told, False
        run, created = _run(project, run_id, data, factor, pue, member_id)
        writer = writers.writer_of(run, data)
        devices = writers.describe_devices(run, writer, data["devices"])
        writer.last_sha256 = sha256
        run.last_seen_at = timezone.now()
        run.clock_skew_s = Clock.of(data).skew.total_seconds()
        if run.status != Run.Status.RUNNING:
            outcome.settle(run)
        totals.refresh(run, writer, devices)
    return run, created


def _run(
    project: Project, run_id, data: HeaderBody, factor: EmissionFactor, pue: Pue, member_id: int
) -> tuple[Run, bool]:
    with contextlib.suppress(Run.DoesNotExist):
        return locked_run(project, run_id), False
    run = Run(
        project=project,
        run_id=run_id,
        member_id=member_id,
        tracked_model=model_named(project, data["model"]),
        started_at=Clock.of(data).read(data["started_at"], "started_at").at,
        upload_interval_s=data["flush_s"],
        factor=factor,
        pue=pue.value,
        **{field: data[field] for field in RUN_FIELDS if field in data},  # type: ignore[literal-required]
    )
    # The unique constraint decides between parallel first headers; the loser finds the winner's row.
    Run.objects.bulk_create([run], ignore_conflicts=True)
    stored = Run.objects.select_for_update().get(project=project, run_id=run_id)
    return stored, not stored.writers.exists()
