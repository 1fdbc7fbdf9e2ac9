"""The end of a record: a run takes back what it added to the daily totals, a project or team goes with all of it."""

from django.db import transaction

from runs.ingest import totals
from runs.models import Batch, Call, DailyUsage, Device, Project, Run, Stage, Team, TrackedModel, Writer

#: What holds a project's facts, each after what points at it.
FACTS = (DailyUsage, Batch, Call, Stage, Device, Writer, Run, TrackedModel)


def remove_run(run: Run) -> None:
    """Delete a run with all that belongs to it."""
    with transaction.atomic():
        locked = Run.objects.select_for_update().get(pk=run.pk)
        totals.move_usage(locked, {})
        locked.delete()


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
