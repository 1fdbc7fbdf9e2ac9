"""Deletion of what has expired, by kind of record; each part can safely be run again at any time."""

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from runs.ingest.keeping import hold
from runs.ingest.removal import remove_series
from runs.ingest.trash import remove_for_good
from runs.models import (
    ApiToken,
    AuditEntry,
    DeletedRun,
    Import,
    Invitation,
    Project,
    Remembered,
    Run,
    ShareLink,
    Trashed,
)
from runs.models.trashed import KEPT_FOR
from runs.sql import run_sums

#: How long ended invitations, links and tokens are kept (the settings list ended tokens for 30 days only).
SHOWN_AFTER_END = timedelta(days=30)
TOKENS_SHOWN_AFTER_END = timedelta(days=90)
#: Rows that one statement deletes: PostgreSQL cancels statements after 5 s.
SLICE = 1_000


def _before(age: timedelta):
    return timezone.now() - age


def invitations() -> QuerySet:
    return Invitation.objects.filter(expires_at__lt=_before(SHOWN_AFTER_END))


def sessions() -> QuerySet:
    return Session.objects.filter(expire_date__lt=timezone.now())


def tokens() -> QuerySet:
    end = _before(TOKENS_SHOWN_AFTER_END)
    return ApiToken.objects.filter(Q(expires_at__lt=end) | Q(revoked_at__lt=end))


def remembered() -> QuerySet:
    return Remembered.objects.over()


def shares() -> QuerySet:
    return ShareLink.objects.filter(expires_at__lt=_before(SHOWN_AFTER_END))


def trash() -> QuerySet:
    return Trashed.objects.overdue()


def imports() -> QuerySet:
    """Imports whose file was never confirmed."""
    return Import.objects.overdue()


def tombstones() -> QuerySet:
    """Tombstones of deleted runs; those of runs in the trash stay as long as the runs can be restored."""
    kept = max(timedelta(days=settings.TRACEML_TOMBSTONE_DAYS), KEPT_FOR + timedelta(days=1))
    return DeletedRun.objects.filter(deleted_at__lt=_before(kept))


def tasks() -> QuerySet:
    """Jobs of the worker that are finished, or failed for good."""
    done = Q(status="SUCCESSFUL", finished_at__lt=_before(timedelta(days=2)))
    return DBTaskResult.objects.filter(done | Q(status="FAILED", finished_at__lt=_before(SHOWN_AFTER_END)))


def audit() -> QuerySet:
    if not (days := settings.TRACEML_AUDIT_DAYS):
        return AuditEntry.objects.none()
    return AuditEntry.objects.filter(created_at__lt=_before(timedelta(days=days)))


def series() -> QuerySet:
    """Runs whose samples have outlived the project's retention, including runs that sent more after a removal."""
    past = Q(pk__in=())
    for project, days in Project.objects.exclude(keep_series_days=None).values_list("pk", "keep_series_days"):
        past |= Q(project=project, last_seen_at__lt=_before(timedelta(days=days or 0)))
    return Run.objects.filter(past).filter(Q(series_removed_at=None) | Q(last_seen_at__gt=F("series_removed_at")))


#: The rows that are due, by the name that the command uses for them.
PARTS: dict[str, Callable[[], QuerySet]] = {
    "invitations": invitations,
    "sessions": sessions,
    "tokens": tokens,
    "shares": shares,
    "remembered": remembered,
    "series": series,
    "trash": trash,
    "imports": imports,
    "tombstones": tombstones,
    "audit": audit,
    "tasks": tasks,
}


def due(part: str) -> int:
    """Return how many rows of the part are due now."""
    return PARTS[part]().count()


def clean(part: str) -> int:
    """Process all rows of a part that are due, a slice at a time; returns how many."""
    count = 0
    while rows := list(PARTS[part]().order_by("pk")[:SLICE]):
        if part == "series":
            for run in rows:
                remove_series(run)
        elif part == "trash":
            for item in rows:
                remove_for_good(item)
        else:
            with transaction.atomic():
                # Blocks a project's deletion, which locks the same rows in another order.
                hold({row.project_id for row in rows} if hasattr(rows[0], "project_id") else ())
                type(rows[0])._default_manager.filter(pk__in=[row.pk for row in rows]).delete()
        count += len(rows)
    return count


@task(queue_name="long")
def daily() -> dict[str, int]:
    """Do what `manage.py housekeeping` does, once a day in the worker; returns the rows per part. Safe to repeat."""
    while run_sums.compact():
        pass
    run_sums.delete_empty()
    return {part: clean(part) for part in PARTS}
