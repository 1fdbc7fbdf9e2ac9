"""The end of a record: a run takes back what it added to the daily totals, a project or team goes with all of it."""

from django.db import transaction
from django.utils import timezone

from runs.ingest import totals
from runs.models import (
    AuditEntry,
    Badge,
    Batch,
    Call,
    DailyUsage,
    DeletedRun,
    Device,
    Metric,
    Project,
    ProjectUsage,
    Run,
    RunRevision,
    RunUsage,
    ShareLink,
    Stage,
    TaggedUsage,
    Team,
    TrackedModel,
    Writer,
)
from runs.models.audit import Action

#: What holds a project's facts, each after what points at it.
FACTS = (
    DailyUsage,
    TaggedUsage,
    ProjectUsage,
    RunUsage,
    ShareLink,
    Badge,
    DeletedRun,
    RunRevision,
    Batch,
    Call,
    Metric,
    Stage,
    Device,
    Writer,
    Run,
    TrackedModel,
)


class RunDeleted(Exception):
    """The run was here and somebody deleted it; a late upload may not bring it back."""


def remove_run(run: Run, request=None) -> None:
    """Delete a run with all that belongs to it, leaving a tombstone and an entry that `request` did it.

    Does nothing where somebody else has just done it.
    """
    with transaction.atomic():
        runs = Run.objects.select_for_update(of=["self"]).select_related("project__team")
        locked = runs.filter(pk=run.pk).first()
        if locked is None:
            return
        changes = totals.UsageChanges()
        changes.move(locked, {})
        changes.save()
        locked.delete()
        DeletedRun.objects.get_or_create(project=locked.project, run_id=locked.run_id)
        AuditEntry.note(request, locked.project.team, Action.RUN_DELETED, _words(locked))


def _words(run: Run) -> str:
    return f"{run.name} ({run.run_id})" if run.name else str(run.run_id)


def locked_run(project: Project, run_id) -> Run:
    """The run for an upload to change, locked. Raises RunDeleted or Run.DoesNotExist."""
    try:
        return Run.objects.select_for_update().get(project=project, run_id=run_id)
    except Run.DoesNotExist:
        # Asked after the run was missed: a deletion that won the race for its lock has left the tombstone by now.
        if DeletedRun.objects.filter(project=project, run_id=run_id).exists():
            raise RunDeleted from None
        raise


def remove_series(run: Run) -> None:
    """Take a run's samples and metrics; ids and digests of its batches stay, so that a late repeat is still one."""
    with transaction.atomic():
        run.batches.update(series=b"", metrics=[])
        run.series_removed_at = timezone.now()
        run.save(update_fields=["series_removed_at"])


def remove_project(project: Project) -> None:
    """Delete a project with all that belongs to it, table by table: a cascade would load every run first."""
    with transaction.atomic():
        for table in FACTS:
            table.objects.filter(project=project).delete()
        project.delete()


def remove_team(team: Team) -> None:
    """Delete a team with all its projects."""
    with transaction.atomic():
        for project in team.project_set.all():
            remove_project(project)
        team.delete()
