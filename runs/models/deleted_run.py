"""Tombstones: they record that a run was deleted, and nothing about it."""

from django.db import models

from runs.models.project import Project
from runs.sql.within_project import OfProject


class DeletedRun(OfProject):
    """The id of a deleted run, which a late upload must not restore."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run_id = models.UUIDField()
    deleted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "run_id"], name="run_deleted_once")]

    def __str__(self):
        return str(self.run_id)
