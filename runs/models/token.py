"""API tokens: `tml_`, a look-up id and 43 random characters, stored only as an HMAC."""

import hmac
import secrets
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import OperationalError, models, transaction
from django.db.models.expressions import RawSQL
from django.utils import timezone

from runs.models.project import Project
from runs.models.run import Run
from runs.secret_digests import token_digest
from runs.sql import tokens
from runs.sql.locks import without_waiting

PREFIX = "tml_"
LOOKUP_LENGTH = 12
LAST_USED_EVERY_S = 60


def _parts(plain_text: str) -> tuple[str, str]:
    """Return the look-up id and secret of a token's plain text; both are empty for invalid text."""
    lookup_id, _, secret = plain_text.removeprefix(PREFIX).partition("_")
    if (
        not plain_text.startswith(PREFIX)
        or len(lookup_id) != LOOKUP_LENGTH
        or not lookup_id.isalnum()
        or not plain_text.isascii()
    ):
        return "", ""
    return lookup_id, secret


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self):
        """Tokens that work (`runs.sql.tokens`): they end with the creator's membership or account, or by themselves."""
        rest, values = tokens.working(timezone.now())
        return self.filter(pk__in=RawSQL(f"SELECT token.id {rest}", values))  # noqa: S611 (text of ours)

    def authenticate(self, plain_text: str) -> "ApiToken | None":
        """Return the working token for this plain text, or None. One query; further columns are read when asked for."""
        lookup_id, secret = _parts(plain_text)
        found = tokens.find(lookup_id, timezone.now()) if lookup_id else None
        token = self.model.from_db(self.db, tokens.COLUMNS, found) if found else None
        return token if token and token.is_secret(secret) else None

    def issued(self, plain_text: str) -> "ApiToken | None":
        """Return the token with this plain text among these, whether or not it still works."""
        lookup_id, secret = _parts(plain_text)
        token = self.filter(lookup_id=lookup_id).first() if lookup_id else None
        return token if token and token.is_secret(secret) else None

    def looked_up(self, plain_text: str) -> "ApiToken | None":
        """Return the token with this look-up id, even if the secret is wrong; used to explain a failure."""
        lookup_id, _ = _parts(plain_text)
        return self.filter(lookup_id=lookup_id or None).first()


class ApiToken(models.Model):
    """A token that lets an agent (`ingest`) or a script (`read`) access one project."""

    class Scope(models.TextChoices):
        INGEST = "ingest"
        READ = "read"

    class Owner(models.TextChoices):
        """Whom a token's runs count for."""

        MAKER = "maker", "Me"
        TEAM = "team", "The whole team"
        CI = "ci", "CI or another automatic job"

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    runs_are_of = models.CharField(max_length=5, choices=Owner.choices, default=Owner.MAKER)
    lookup_id = models.CharField(max_length=LOOKUP_LENGTH, unique=True, editable=False)
    secret_hmac = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_agent = models.CharField(max_length=64, blank=True, editable=False)
    successor = models.OneToOneField(
        "self", null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="predecessor"
    )

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"

    def __str__(self):
        return f"{PREFIX}{self.lookup_id}_… ({self.name})"

    @classmethod
    def issue(
        cls, project: Project, name: str, scopes, created_by=None, expires_at=None, runs_are_of: str = Owner.MAKER
    ) -> tuple["ApiToken", str]:
        """Create a token; returns it with its plain text, which can't be recovered."""
        lookup_id = secrets.token_hex(LOOKUP_LENGTH // 2)
        secret = secrets.token_urlsafe(32)
        token = cls.objects.create(
            project=project,
            name=name,
            lookup_id=lookup_id,
            secret_hmac=token_digest(secret),
            scopes=sorted(cls.Scope(scope).value for scope in scopes),
            created_by=created_by,
            expires_at=expires_at,
            runs_are_of=runs_are_of,
        )
        return token, f"{PREFIX}{lookup_id}_{secret}"

    def rotate(self, by, overlap: timedelta) -> tuple["ApiToken", str]:
        """Create a successor with the same name, scopes and lifetime; this token keeps working for `overlap`.

        Raises ValidationError for a token that no longer works or already has a successor.
        """
        now = timezone.now()
        if self.state != "active":
            raise ValidationError(f"This token is {self.state} and can’t be rotated. Create a new one.")
        with transaction.atomic():
            expires_at = now + (self.expires_at - self.created_at) if self.expires_at else None
            issued = ApiToken.issue(self.project, self.name, self.scopes, by, expires_at, self.runs_are_of)
            self.successor = issued[0]
            self.expires_at = min(filter(None, [self.expires_at, now + overlap]))
            self.save(update_fields=["successor", "expires_at"])
        return issued

    @property
    def prefix(self) -> str:
        """The public part, which identifies the token."""
        return f"{PREFIX}{self.lookup_id}"

    @property
    def state(self) -> str:
        """`active`, `replaced` while it works beside its successor, `expired`, `revoked`, or `resting` while its
        creator is deactivated."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= timezone.now():
            return "expired"
        if self.created_by and not self.created_by.is_active:
            return "resting"
        return "replaced" if self.successor_id else "active"

    @property
    def member_id(self) -> int:
        """The `Run.member_id` of its runs."""
        of_nobody: dict[str, int] = {self.Owner.TEAM: Run.OF_TEAM, self.Owner.CI: Run.OF_CI}
        return of_nobody.get(self.runs_are_of, self.created_by_id or Run.OF_NOBODY)

    def is_secret(self, secret: str) -> bool:
        return hmac.compare_digest(self.secret_hmac, token_digest(secret))

    def allows(self, scope: str) -> bool:
        return scope in self.scopes

    def note_use(self, agent: str) -> None:
        """Store when and by what it was used, at most once a minute: a write per request would double the load.

        If another writer has locked the database, the next request does it instead: readers never wait.
        """
        now = timezone.now()
        if self.last_used_at and (now - self.last_used_at).total_seconds() < LAST_USED_EVERY_S:
            return
        with suppress(OperationalError), without_waiting():
            type(self).objects.filter(pk=self.pk).update(last_used_at=now, last_used_agent=agent[:64])

    @property
    def history(self) -> str:
        """Return its creator and how it ended, for the audit log."""
        maker = self.created_by.email if self.created_by else "the command line"
        ended = f"revoked {self.revoked_at:%Y-%m-%d}" if self.revoked_at else "not revoked"
        return f"{self.prefix} ({self.name}) created by {maker} {self.created_at:%Y-%m-%d}, {ended}"

    def revoke(self) -> None:
        self.revoked_at = timezone.now()
        self.save(update_fields=["revoked_at"])
