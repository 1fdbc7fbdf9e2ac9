"""Teams and their members."""

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.utils import timezone

from runs.models.user import User
from runs.rights import RIGHTS, Right, Role
from runs.slugs import create_with_slug

#: Roles by rank, in the order of the choices.
RANKS = list(Role)
FIRST_PROJECT = "First project"


class TeamQuerySet(models.QuerySet):
    def for_user(self, user):
        """The teams that this person is a member of."""
        return self.filter(membership__user=user)


class Team(models.Model):
    """People who share projects."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="teams")
    created_at = models.DateTimeField(auto_now_add=True)
    bin_of = models.OneToOneField(
        "self",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="bin",
        help_text="Set: no team of people, but what holds the trash of this one; it never has members.",
    )

    objects = TeamQuerySet.as_manager()

    def __str__(self):
        return self.name

    @classmethod
    def found(cls, name: str, owner) -> "Team":
        """Create a team owned by this person."""
        with transaction.atomic():
            team = create_with_slug(cls.objects, name, "team")
            Membership.objects.create(team=team, user=owner, role=Role.OWNER)
        return team

    @classmethod
    def personal_for(cls, user) -> "Team":
        """Return a team of this person, or create one with a first project.

        Locks the person's row: of two simultaneous first requests, the second finds the first one's team.
        """
        from runs.models.project import Project  # which imports teams itself

        with transaction.atomic():
            User.objects.select_for_update().get(pk=user.pk)
            team = cls.objects.for_user(user).order_by("pk").first()
            if team is None:
                team = cls.found(f"{user.first_name or user.email.partition('@')[0]}’s team", user)
                Project.make(team, FIRST_PROJECT)
        return team

    def lock(self) -> None:
        """Block other changes of this team's people, projects or tokens until the transaction ends."""
        Team.objects.select_for_update().get(pk=self.pk)


class LastOwner(ValidationError):
    """The change would leave a team without an owner."""


class MembershipQuerySet(models.QuerySet):
    def able(self):
        """Active members: a deactivated person stays a member but can't act."""
        return self.filter(user__is_active=True)

    def owners(self):
        """The active owners."""
        return self.able().filter(role=Role.OWNER)

    def by_role(self):
        """Owners first, then by email address, with the people."""
        rank = models.Case(*(models.When(role=role, then=number) for number, role in enumerate(RANKS)))
        return self.select_related("user").order_by(rank, "user__email")


class Membership(models.Model):
    """A person's membership in a team."""

    Role = Role

    team = models.ForeignKey(Team, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_person")]

    def __str__(self):
        return f"{self.user} in {self.team} ({self.role})"

    def may(self, right: Right) -> bool:
        return self.role in RIGHTS[right]

    @property
    def rights(self) -> dict[str, bool]:
        """The rights of this member, for templates: `{% if place.rights.INVITE %}`."""
        return {right.name: self.may(right) for right in Right}

    def outranks(self, other: "Membership") -> bool:
        """Whether this member may change the other membership: owners may change all, others only lower roles."""
        return self.role == Role.OWNER or self.rank < other.rank

    @property
    def rank(self) -> int:
        return RANKS.index(Role(self.role))

    @property
    def grantable_roles(self) -> list:
        """The roles that this member may give: none above their own, and ownership only by an accepted offer."""
        if not self.may(Right.INVITE):
            return []
        return [role for role in RANKS[self.rank :] if role is not Role.OWNER]

    @property
    def may_take_over(self) -> bool:
        """Whether no owner of the team can act, and nobody who can act outranks this member; never for viewers."""
        able = set(self.team.membership_set.able().values_list("role", flat=True))
        return self.role == min(able, key=RANKS.index, default=None) and self.role not in (Role.OWNER, Role.VIEWER)

    def take_over(self) -> None:
        """Become an owner beside the deactivated ones. Raises PermissionDenied if somebody else could act."""
        with transaction.atomic():
            self.team.lock()
            if not self.may_take_over:
                raise PermissionDenied
            self.role = Role.OWNER
            self.save(update_fields=["role"])

    def give_role(self, role: str, by: "Membership") -> None:
        """Change the role. Raises PermissionDenied if `by` may not, LastOwner if no owner would be left."""
        if not by.outranks(self) or role not in by.grantable_roles:
            raise PermissionDenied
        self.become(role)

    def become(self, role: str) -> None:
        """Set another role without checking rights. Raises LastOwner if no owner would be left."""
        with transaction.atomic():
            if role != Role.OWNER:
                self._leave_an_owner()
            self.role = role
            self.save(update_fields=["role"])
            if not self.may(Right.MAKE_TOKENS):
                self._revoke_tokens()

    def remove(self, by: "Membership") -> None:
        """End another person's membership. Raises PermissionDenied and LastOwner like `give_role`."""
        if not by.outranks(self):
            raise PermissionDenied
        self.end()

    def end(self) -> None:
        """Leave the team: access ends, and this person's tokens for it are revoked with the next request."""
        with transaction.atomic():
            self._leave_an_owner()
            self._revoke_tokens()
            self.delete()

    def _leave_an_owner(self) -> None:
        self.team.lock()
        self.refresh_from_db(fields=["role"])
        if self.role == Role.OWNER and not self.team.membership_set.owners().exclude(pk=self.pk).exists():
            raise LastOwner("A team needs an owner. Offer ownership to another member first, or delete the team.")

    def _revoke_tokens(self) -> None:
        tokens = self.user.apitoken_set.filter(project__team=self.team, revoked_at=None)
        tokens.update(revoked_at=timezone.now())
