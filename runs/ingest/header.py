"""A run's header: creates the run, or adds a writer to it."""

from typing import Any

from django.utils import timezone

from runs.ingest import writers
from runs.ingest.bodies import HeaderBody, Told
from runs.ingest.clock import Clock
from runs.ingest.folding.fold import fold
from runs.ingest.keeping import RunDeleted, model_named, upload_of
from runs.models import EmissionFactor, Project, Pue, Run
from runs.sql import uploads, writes

#: Facts about the run as a whole, which later headers of the same run do not change.
RUN_FIELDS = ("kind", "name", "tags", "params", "environment", "agent_version")


def record_header(
    project: Project, run_id: Any, data: HeaderBody, member_id: int = 0, sha256: str = "", at_once: bool = False
) -> tuple[Run, bool]:
    """Store a header sent by this member. Returns the run and whether it is new; repeating it changes nothing.

    Totals follow (`runs.ingest.folding`); with `at_once` they follow in the same transaction.
    """
    lock = uploads.TAKE if at_once else uploads.KEEP
    with upload_of(project):
        created = False
        while (place := writers.find(project, run_id, data, lock)) is None:
            created = _create(project, run_id, data, member_id)
        if place.told(sha256):
            return place.run, False
        run, writer = place.run, place.writer or writers.writer_of(place.run, data, is_first=created)
        told: Told = {"devices": data["devices"], "sha256": sha256}
        told["clock_skew_s"] = Clock.of(data).skew.total_seconds()
        uploads.insert_arrival((run.project_id, run.pk, writer.pk), timezone.now(), told)
        return (fold([run.pk])[run.pk] if at_once else run), created


def _create(project: Project, run_id: Any, data: HeaderBody, member_id: int) -> bool:
    """Create the run, unless another header of it has just done so. Raises RunDeleted."""
    begin = uploads.beginning(project.pk, run_id, data["model"])
    if begin.is_deleted or not begin.has_project:
        raise RunDeleted
    run = Run(
        project=project,
        run_id=run_id,
        member_id=member_id,
        tracked_model_id=begin.model_id or model_named(project, data["model"]).pk,
        started_at=Clock.of(data).read(data["started_at"], "started_at").at,
        upload_interval_s=data["flush_s"],
        factor_id=begin.factor_id or EmissionFactor.objects.active().pk,
        pue=Pue.objects.active().value if begin.pue is None else begin.pue,
        **{field: data[field] for field in RUN_FIELDS if field in data},  # type: ignore[literal-required]
    )
    # The unique constraint decides between parallel first headers.
    return writes.insert_if_new(run)
