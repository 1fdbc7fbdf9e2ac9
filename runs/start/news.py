"""Queries of the waiting page: has the run arrived, and was a request refused in the meantime?"""

from dataclasses import dataclass
from datetime import datetime

from runs.models import Project, Refusal, Run


@dataclass(frozen=True)
class News:
    """The first run that arrived; until there is one, the last refused request."""

    run: Run | None
    refusal: Refusal | None


def news(project: Project, since: datetime | None) -> News:
    """News since a moment, or of all time."""
    runs, refusals = project.run_set.with_names(), Refusal.objects.filter(project=project)
    if since:
        runs, refusals = runs.filter(received_at__gt=since), refusals.filter(at__gt=since)
    run = runs.order_by("received_at").first()
    return News(run, None if run else refusals.select_related("token").first())
