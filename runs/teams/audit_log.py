"""The audit log of a team, narrowed and in pages."""

from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.utils import timezone

from runs.figures.periods import within
from runs.models import AuditEntry, Team, User

PAGE_SIZE = 50


class AuditFilters(NamedTuple):
    """An empty field does not filter. Days are in the reader's time zone."""

    action: str = ""
    person: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def is_set(self) -> bool:
        return any(self)


def entries(team: Team, filters: AuditFilters):
    """The entries that match all filters, newest first."""
    found = AuditEntry.objects.for_team(team).select_related("actor")
    if filters.action:
        found = found.filter(action=filters.action)
    if filters.person:
        # Only the team's own entries: teams do not see who administers the portal.
        found = found.filter(team=team, actor__email=filters.person)
    if filters.since:
        found = found.filter(created_at__gte=_midnight(filters.since))
    if filters.until:
        found = found.filter(created_at__lt=_midnight(filters.until, 1))
    return found


def _midnight(day: date, days_later: int = 0) -> datetime:
    day = within(day, timezone.now().date()) + timedelta(days=days_later)
    return timezone.make_aware(datetime.combine(day, time.min))


def page(team: Team, filters: AuditFilters, number: int | str) -> Page:
    return Paginator(entries(team, filters), PAGE_SIZE).get_page(number)


def people(team: Team) -> list[str]:
    """The email addresses of everyone with an entry in this team."""
    actors = AuditEntry.objects.filter(team=team).values("actor")
    return list(User.objects.filter(pk__in=actors).order_by("email").values_list("email", flat=True))


HEADER = ["time", "who", "action", "subject", "address"]


def rows(team: Team, filters: AuditFilters):
    """The same entries as rows of HEADER, one at a time."""
    for entry in entries(team, filters).iterator(chunk_size=500):
        moment = entry.created_at.isoformat(timespec="seconds")
        yield [moment, entry.who, entry.action, entry.subject, entry.origin]
