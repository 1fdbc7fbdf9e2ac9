"""What the waiting page asks the database: has the run arrived, and what was refused meanwhile."""

from dataclasses import dataclass
from datetime import datetime

from runs.models import Project, Refusal, Run


@dataclass(frozen=True)
class News:
    """The first run that arrived and, until one has, the last refused request."""

    run: Run | None
    refusal: Refusal | None


def news(project: Project, since: datetime | None) -> News:
    """What happened after `since`, or ever."""
    runs, refusals = project.run_set.with_names(), Refusal.objects.filter(project=project)
    if since:
        runs, refusals = runs.filter(received_at__gt=since), refusals.filter(at__gt=since)
    run = runs.order_by("received_at").first()
    return News(run, None if run else refusals.select_related("token").first())
