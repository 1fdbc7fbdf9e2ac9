"""Keeping rows from deletion and trash while something is stored or changed, and the words for what is gone."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from django.db import connection, transaction

from runs.models import DeletedRun, Project, Run, TrackedModel
from runs.sql.locks import keep_from_deletion


class RunDeleted(Exception):
    """The run, or its project, was deleted here; a late upload must not restore it."""


def hold(ids: Iterable[int], of: type[Project] | type[TrackedModel] = Project, within: int | None = None) -> set[int]:
    """Protect projects (or models of the project `within`) until the transaction ends; returns those that exist.

    Call it before locking anything else: a deletion locks the project first, then its runs.
    """
    return keep_from_deletion(ids, of, within)


def model_named(project: Project, name: str) -> TrackedModel:
    """Return the project's model of this name, created if new, and keep it from the trash until the commit."""
    while True:
        model = TrackedModel.named(project, name)
        hold([model.pk], TrackedModel, project.pk)
        # Read after the lock: someone may have moved it out of the project in the meantime.
        if TrackedModel.objects.filter(pk=model.pk, project=project).exists():
            return model


def place_in_line(project: Project) -> AbstractContextManager:
    """On SQLite, where all wait for one lock, the uploads of a project have one place in the queue."""
    in_line = getattr(connection, "in_line", None)
    return in_line(project.pk) if in_line else nullcontext()


@contextmanager
def upload_of(project: Project) -> Iterator[None]:
    """Start an upload's transaction, in the project's place."""
    with place_in_line(project), transaction.atomic():
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
