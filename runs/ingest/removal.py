"""Permanent deletion: of a run, whose share leaves the daily totals, or of a project or team with everything in it."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from runs.ingest import totals
from runs.ingest.folding.fold import fold
from runs.ingest.keeping import hold
from runs.models import (
    ApiToken,
    Arrival,
    AuditEntry,
    Badge,
    Batch,
    Call,
    DailyUsage,
    DeletedRun,
    Device,
    Metric,
    MonthlyUsage,
    Project,
    ProjectUsage,
    Run,
    RunCurve,
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
from runs.models.trashed import amounts
from runs.sql.locks import keep_from_uploads

#: Tables that hold a project's facts, each after the tables that refer to it.
FACTS = (
    DailyUsage,
    MonthlyUsage,
    TaggedUsage,
    ProjectUsage,
    RunUsage,
    ShareLink,
    Badge,
    DeletedRun,
    RunRevision,
    Arrival,
    Batch,
    RunCurve,
    Call,
    Metric,
    Stage,
    Device,
    Writer,
    Run,
    TrackedModel,
)


def remove_run(run: Run, request=None) -> None:
    """Delete a run for good, bypassing the trash, and leave a tombstone and an audit entry that `request` did it.

    Does nothing if somebody else has just done it.
    """
    with transaction.atomic():
        hold([run.project_id])
        runs = Run.objects.select_for_update(of=["self"]).select_related("project__team")
        locked = runs.filter(pk=run.pk, project_id=run.project_id).first()
        if locked is None:
            return
        changes = totals.UsageChanges()
        changes.move(locked, {})
        changes.save()
        locked.delete()
        DeletedRun.objects.get_or_create(project=locked.project, run_id=locked.run_id)
        AuditEntry.note(request, locked.project.team, Action.RUN_DELETED, _words(locked))


def _words(run: Run) -> str:
    called = f"{run.name} ({run.run_id})" if run.name else str(run.run_id)
    return f"{called}: {amounts(run.energy_kwh, run.emissions_kg)}"


def remove_series(run: Run) -> None:
    """Delete a run's samples and metrics. Ids and digests of batches stay, to recognise late repeats."""
    with transaction.atomic():
        # Project first, then run: the order in which deletion locks them.
        hold([run.project_id])
        mine = Run.objects.filter(pk=run.pk, project_id=run.project_id)
        if mine.select_for_update().exists():
            fold([run.pk])
            run.batches.update(series=b"", metrics=[])
            RunCurve.objects.filter(run=run).update(series=b"", logged={}, peaks={})
            mine.update(series_removed_at=timezone.now())


def remove_project(project: Project) -> None:
    """Delete a project and everything in it, table by table: a cascade would load every run first.

    Its tokens go first, or a steady stream of uploads would keep the deletion waiting.
    """
    for thrown in Project.objects.filter(trashed__from_project=project):
        remove_project(thrown)
    ApiToken.objects.filter(project=project).delete()
    with transaction.atomic():
        keep_from_uploads(Project, project.pk)
        Project.objects.select_for_update().filter(pk=project.pk).first()
        for table in FACTS:
            table.objects.filter(project=project).delete()
        project.delete()


def remove_team(team: Team) -> None:
    """Delete a team with all its projects."""
    for project in Project.objects.filter(Q(team=team) | Q(team__bin_of=team)).order_by("pk"):
        if Project.objects.filter(pk=project.pk).exists():  # not deleted together with the one that it was trashed from
            remove_project(project)
    with transaction.atomic():
        team.delete()
