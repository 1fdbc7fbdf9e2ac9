"""Invitations to a team: a link that admits one person, once, within a week."""

import secrets
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from runs.models.team import Membership, Team
from runs.rights import RIGHTS, Right, Role
from runs.secret_digests import invitation_digest

OPEN_FOR = timedelta(days=7)


class InvitationQuerySet(models.QuerySet):
    def open(self):
        """Invitations that can be accepted: unused, not expired, and from somebody who may still invite."""
        return self.filter(
            accepted_at=None,
            revoked_at=None,
            expires_at__gt=timezone.now(),
            invited_by__is_active=True,
            invited_by__membership__team=F("team"),
            invited_by__membership__role__in=RIGHTS[Right.INVITE],
        )

    def by_secret(self, secret: str) -> "Invitation | None":
        """Return the open invitation for this link's secret part."""
        return self.open().filter(secret_hmac=invitation_digest(secret)).first()


class Invitation(models.Model):
    """An invitation to a team, in a role that the inviter chose; the database only holds the link's HMAC."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE)
    role = models.CharField(max_length=8, choices=[choice for choice in Role.choices if choice[0] != Role.OWNER])
    email = models.EmailField("email", blank=True, help_text="Where the link was sent; empty for a link to copy.")
    secret_hmac = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    def __str__(self):
        return f"{self.email or 'a link'} as {self.role}"

    @classmethod
    def issue(cls, by: Membership, role: str, email: str = "") -> tuple["Invitation", str]:
        """Create an invitation; returns it with its link's secret part, which can't be recovered."""
        if role not in by.grantable_roles:
            raise PermissionDenied
        secret = secrets.token_urlsafe(32)
        values = {"role": role, "email": email, "expires_at": timezone.now() + OPEN_FOR}
        digest = invitation_digest(secret)
        return cls.objects.create(team=by.team, invited_by=by.user, secret_hmac=digest, **values), secret

    def accept(self, user) -> Membership:
        """Add the person to the team and use up the invitation. Raises DoesNotExist if it is no longer open.

        Existing members stay as they are, and the invitation stays open for somebody else.
        """
        with transaction.atomic():
            self.team.lock()
            Invitation.objects.open().get(pk=self.pk)
            membership, joined = Membership.objects.get_or_create(
                team=self.team, user=user, defaults={"role": self.role}
            )
            if joined:
                self.accepted_at, self.accepted_by = timezone.now(), user
                self.save(update_fields=["accepted_at", "accepted_by"])
        return membership

    def revoke(self) -> None:
        self.revoked_at = timezone.now()
        self.save(update_fields=["revoked_at"])
