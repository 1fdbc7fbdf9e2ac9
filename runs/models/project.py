"""Projects: what tokens, models and runs belong to."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from runs.models.team import Team
from runs.rights import RIGHTS, Right
from runs.slugs import create_with_slug


class ProjectQuerySet(models.QuerySet):
    def for_user(self, user, right: Right = Right.SEE):
        """The projects of the teams in which this person has this right."""
        # In one filter, so that both conditions apply to the same member; two filters could match another member's
        # role.
        return self.filter(team__membership__user=user, team__membership__role__in=RIGHTS[right])


class Project(models.Model):
    """A group of runs of one team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    keep_series_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(36_500)],
        help_text="Samples and logged metrics are deleted this long after a run's last data. Empty: never.",
    )

    objects = ProjectQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="project_name_once_per_team")]

    def __str__(self):
        return self.name

    @classmethod
    def make(cls, team: Team, name: str) -> "Project":
        """Create a project. Raises IntegrityError if the team already has one with this name."""
        return create_with_slug(cls.objects, name, "project", team=team)
