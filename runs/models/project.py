"""Projects: what tokens, models and runs belong to."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from runs.models.team import Membership, Team


class ProjectQuerySet(models.QuerySet):
    def for_user(self, user):
        """The projects of the teams that this person is a member of."""
        return self.filter(team__membership__user=user)

    def editable_by(self, user):
        """The projects that this person may work on, not only look at."""
        # One subquery: two filters over memberships would take another member's role for this person's.
        return self.filter(team__membership__in=Membership.objects.filter(user=user, role__in=Membership.EDITORS))


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
        help_text="Samples and logged metrics go this long after a run's last data; empty: never. Totals stay.",
    )

    objects = ProjectQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="project_name_once_per_team")]

    def __str__(self):
        return self.name
