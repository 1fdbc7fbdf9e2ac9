"""Tags that people add and remove later; the totals by tag are updated too."""

from django.db import transaction

from runs.ingest.keeping import hold
from runs.ingest.totals import UsageChanges
from runs.models import Run
from traceml_agent.limits import MAX_TAGS


def tag_run(run: Run, tag: str) -> None:
    """Add a tag; does nothing if the run already has it."""
    with transaction.atomic():
        locked = _locked(run)
        if locked and tag not in locked.tags and len(locked.tags) < MAX_TAGS:
            _set_tags(locked, [*locked.tags, tag])


def untag_run(run: Run, tag: str) -> None:
    with transaction.atomic():
        locked = _locked(run)
        if locked and tag in locked.tags:
            _set_tags(locked, [each for each in locked.tags if each != tag])


def _locked(run: Run) -> Run | None:
    """Return the current run, locked: an upload may have changed its share of the totals in the meantime."""
    hold([run.project_id])
    return Run.objects.select_for_update().filter(pk=run.pk, project_id=run.project_id).first()


def _set_tags(run: Run, tags: list[str]) -> None:
    changes = UsageChanges()
    changes.retag(run, tags)
    changes.save()
    run.save(update_fields=["tags"])
