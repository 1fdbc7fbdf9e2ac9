"""Machine-learning models, tracked over their whole life."""

from django.db import models

from runs.models.project import Project
from runs.slugs import free_slug
from runs.sql.within_project import OfProject


class TrackedModelQuerySet(models.QuerySet):
    def for_user(self, user, team=None):
        """The models of projects that this person may see; with `team`, only of that team's projects."""
        found = self.filter(project__team__membership__user=user)
        return found.filter(project__team=team) if team else found


class TrackedModel(OfProject):
    """A model by its name within a project, with all runs that trained, evaluated or used it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80)
    created_at = models.DateTimeField(auto_now_add=True)
    notes = models.TextField(blank=True, help_text="Markdown.")

    objects = TrackedModelQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="model_name_once_per_project"),
            models.UniqueConstraint(fields=["project", "slug"], name="model_slug_once_per_project"),
        ]

    def __str__(self):
        return self.name

    @classmethod
    def named(cls, project: Project, name: str) -> "TrackedModel":
        """Return the project's model with this name, created if new; safe for concurrent uploads."""
        for _ in range(5):
            found = cls.objects.filter(project=project, name=name).first()
            if found:
                return found
            slug = free_slug(name, cls.objects.filter(project=project), fallback="model")
            # A conflict means that another upload was faster, by name or by slug: look again.
            cls.objects.bulk_create([cls(project=project, name=name, slug=slug)], ignore_conflicts=True)
        return cls.objects.get(project=project, name=name)
