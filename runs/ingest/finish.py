"""The end of a writer, and of the run if no other writer is still running."""

from typing import Any

from django.utils import timezone

from runs.ingest import series, writers
from runs.ingest.batch import counted
from runs.ingest.bodies import FinishBody, Told
from runs.ingest.clock import Clock
from runs.ingest.folding.fold import fold
from runs.ingest.keeping import upload_of
from runs.models import Project, Run
from runs.sql import uploads


def record_finish(project: Project, run_id: Any, data: FinishBody, sha256: str = "") -> Run:
    """Store a writer's final counters and status; returns the run with its totals, which follow at once.

    Raises Run.DoesNotExist for an unknown run, RunDeleted for a deleted one, ValidationError for an impossible end.
    """
    with upload_of(project):
        place, now = writers.place_of(project, run_id, data, uploads.TAKE), timezone.now()
        if place.told(sha256):
            return place.run
        run, writer = place.run, place.writer or writers.writer_of(place.run, data)
        rows = series.by_device(data["samples"])
        ended_at = Clock.of(data).read(data["ended_at"], "ended_at").at
        told: Told = {
            "counters": counted(writer, rows, data, place.described),
            "last_t_s": max((mine[-1]["t_s"] for mine in rows.values()), default=0.0),
            "devices": data["devices"],
            "samples": data["samples"],
            "sha256": sha256,
            "end": {
                "status": data["status"],
                "exception": data["exception"],
                "ended_at": ended_at.isoformat(),
                "dropped_records": data["dropped_records"],
            },
        }
        told |= {name: data[name] for name in ("left_out", "overlaps") if name in data}  # type: ignore[literal-required, typeddict-item]
        uploads.insert_arrival((run.project_id, run.pk, writer.pk), now, told)
        return fold([run.pk])[run.pk]
