"""Teams and who belongs to them."""

from django.conf import settings
from django.db import models


class TeamQuerySet(models.QuerySet):
    def for_user(self, user):
        """The teams that this person is a member of."""
        return self.filter(membership__user=user)

    def managed_by(self, user):
        """The teams that this person looks after."""
        return self.filter(membership__in=Membership.objects.filter(user=user, role__in=Membership.MANAGERS))


class Team(models.Model):
    """People who share projects."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="teams")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamQuerySet.as_manager()

    def __str__(self):
        return self.name


class Membership(models.Model):
    """A person's place in a team."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"
        VIEWER = "viewer"

    #: Who looks after the team itself, and who works on what is in its projects.
    MANAGERS = (Role.OWNER, Role.ADMIN)
    EDITORS = (Role.OWNER, Role.ADMIN, Role.MEMBER)

    team = models.ForeignKey(Team, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_person")]

    def __str__(self):
        return f"{self.user} in {self.team} ({self.role})"
