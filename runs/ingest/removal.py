"""Permanent deletion: of a run, whose share leaves the daily totals, or of a project or team with everything in it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from runs.ingest import totals
from runs.models import (
    ApiToken,
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
from runs.models.trashed import amounts
from runs.sql.locks import keep_from_deletion

#: Tables that hold a project's facts, each after the tables that refer to it.
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
    """The run, or its project, was deleted here; a late upload must not restore it."""


def hold(ids: Iterable[int], of: type[Project] | type[TrackedModel] = Project) -> set[int]:
    """Protect projects (or models) from deletion until the transaction ends; returns those that exist.

    Call it before locking anything else: a deletion locks the project first, then its runs.
    """
    return keep_from_deletion(ids, of)


def model_named(project: Project, name: str) -> TrackedModel:
    """Return the project's model of this name, created if new, and keep it from the trash until the commit."""
    while True:
        model = TrackedModel.named(project, name)
        hold([model.pk], TrackedModel)
        # Read after the lock: someone may have moved it out of the project in the meantime.
        if TrackedModel.objects.filter(pk=model.pk, project=project).exists():
            return model


def remove_run(run: Run, request=None) -> None:
    """Delete a run for good, bypassing the trash, and leave a tombstone and an audit entry that `request` did it.

    Does nothing if somebody else has just done it.
    """
    with transaction.atomic():
        hold([run.project_id])
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
    called = f"{run.name} ({run.run_id})" if run.name else str(run.run_id)
    return f"{called}: {amounts(run.energy_kwh, run.emissions_kg)}"


@contextmanager
def upload_of(project: Project) -> Iterator[None]:
    """Start an upload's transaction. On SQLite, where all wait for one lock, a project has one place in the queue."""
    in_line = getattr(connection, "in_line", None)
    with in_line(project.pk) if in_line else nullcontext(), transaction.atomic():
        yield


def locked_run(project: Project, run_id) -> Run:
    """Return the run that an upload changes, locked. Raises RunDeleted or Run.DoesNotExist."""
    if not hold([project.pk]):
        raise RunDeleted
    try:
        return Run.objects.select_for_update().get(project=project, run_id=run_id)
    except Run.DoesNotExist:
        # Checked after the run was missed: a deletion that won the race for its lock has left the tombstone by now.
        if DeletedRun.objects.filter(project=project, run_id=run_id).exists():
            raise RunDeleted from None
        raise


def remove_series(run: Run) -> None:
    """Delete a run's samples and metrics. Ids and digests of batches stay, to recognise late repeats."""
    with transaction.atomic():
        # Project first, then run: the order in which deletion locks them.
        hold([run.project_id])
        if Run.objects.select_for_update().filter(pk=run.pk).exists():
            run.batches.update(series=b"", metrics=[])
            Run.objects.filter(pk=run.pk).update(series_removed_at=timezone.now())


def remove_project(project: Project) -> None:
    """Delete a project and everything in it, table by table: a cascade would load every run first.

    Its tokens go first, or a steady stream of uploads would keep the deletion waiting.
    """
    for thrown in Project.objects.filter(trashed__from_project=project):
        remove_project(thrown)
    ApiToken.objects.filter(project=project).delete()
    with transaction.atomic():
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
