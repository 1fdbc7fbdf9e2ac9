"""Saved views: named query strings of the run list."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from runs.models.project import Project


class SavedViewQuerySet(models.QuerySet):
    def for_user(self, user):
        """A person's own views, and views shared with one of their projects."""
        shared = Q(project__in=Project.objects.for_user(user).values("pk"))
        return self.filter(Q(user=user) | shared)


class SavedView(models.Model):
    """A person's saved view of the run list; with a project, its other members see it too."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    query = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="view_name_once_per_person")]
        ordering = ["name"]

    def __str__(self):
        return self.name
