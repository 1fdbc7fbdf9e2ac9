"""The end of runs whose tool never tells it: when they have been silent for long enough, they are completed."""

from contextlib import suppress
from typing import Any

from django.utils import timezone

from runs.ingest.finish import record_finish
from runs.ingest.keeping import RunDeleted
from runs.models import Project, Run, Writer

#: How many the worker ends each time it looks, and how many a client has time to wait for.
AT_ONCE, BESIDE_A_REQUEST = 200, 3


def end_silent_runs(project: Project | None = None) -> int:
    """End them with their last report; returns how many. A report that arrives later continues the run.

    The worker does it for all projects. Where there is no worker, the project's next run does it.
    """
    over = Run.objects.over(timezone.now()).select_related("project").prefetch_related("writers").order_by()
    runs = list(over.filter(project=project)[:BESIDE_A_REQUEST] if project else over[:AT_ONCE])
    for run in runs:
        for writer in run.writers.all():
            with suppress(Run.DoesNotExist, RunDeleted):
                record_finish(run.project, run.run_id, _end(writer))
    return len(runs)


def _end(writer: Writer) -> Any:
    nothing = {"devices": [], "samples": [], "exception": "", "dropped_records": 0}
    return {"writer": writer.key, "status": Run.Status.COMPLETED, "ended_at": writer.heard_until} | nothing
