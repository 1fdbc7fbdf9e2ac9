"""Tombstones: that a run was deleted, and nothing of what it was."""

from django.db import models

from runs.models.project import Project


class DeletedRun(models.Model):
    """An id that a late upload may not bring back."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run_id = models.UUIDField()
    deleted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "run_id"], name="run_deleted_once")]

    def __str__(self):
        return str(self.run_id)
