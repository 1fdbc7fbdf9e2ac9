"""The audit log: who did what to whom, when and from where, for owners and admins to read."""

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q

from runs.models.team import Team
from runs.models.user import DEACTIVATED

#: How many bits of an address are kept: enough to identify a network, too few to identify a person.
KEPT_BITS = {4: 24, 6: 48}
SUBJECT_LENGTH = 300


class Action(models.TextChoices):
    """Actions that are logged; the value is what people read."""

    MEMBER_INVITED = "member invited"
    INVITATION_REVOKED = "invitation revoked"
    MEMBER_JOINED = "member joined"
    MEMBER_LEFT = "member left"
    MEMBER_REMOVED = "member removed"
    MEMBER_DEACTIVATED = "account deactivated"
    MEMBER_ACTIVATED = "account active again"
    ROLE_CHANGED = "role changed"
    ACCOUNT_CHANGED = "account changed"
    OWNERSHIP_OFFERED = "ownership offered"
    OWNERSHIP_DECLINED = "ownership declined"
    OWNERSHIP_TRANSFERRED = "ownership transferred"
    OWNERSHIP_TAKEN = "ownership taken over"
    TEAM_CREATED = "team created"
    TEAM_RENAMED = "team renamed"
    TEAM_DELETED = "team deleted"
    PROJECT_CREATED = "project created"
    PROJECT_CHANGED = "project changed"
    PROJECT_DELETED = "project deleted"
    PROJECT_RESTORED = "project restored"
    PROJECT_REMOVED = "project removed for good"
    TOKEN_ISSUED = "token issued"  # noqa: S105
    TOKEN_ROTATED = "token rotated"  # noqa: S105
    TOKEN_REVOKED = "token revoked"  # noqa: S105
    TOKEN_REMOVED = "token removed"  # noqa: S105
    SHARE_MADE = "share link made"
    SHARE_REVOKED = "share link revoked"
    BADGE_MADE = "badge made"
    BADGE_REVOKED = "badge revoked"
    RUN_DELETED = "run deleted"
    RUN_RESTORED = "run restored"
    RUN_REMOVED = "run removed for good"
    RUNS_IMPORTED = "runs imported"
    IMPORT_UNDONE = "import undone"
    MODEL_DELETED = "model deleted"
    MODEL_RESTORED = "model restored"
    MODEL_REMOVED = "model removed for good"
    PROFILE_CHANGED = "hardware profile changed"
    FACTOR_CHANGED = "emission factor changed"
    PUE_CHANGED = "PUE changed"


#: Changes of the whole deployment that affect every team's figures, so every team may read them.
DEPLOYMENT_WIDE = (Action.PROFILE_CHANGED, Action.FACTOR_CHANGED, Action.PUE_CHANGED)


#: What the portal does automatically when something has been in the trash for long enough.
REMOVED_IN_TIME = (Action.RUN_REMOVED, Action.MODEL_REMOVED, Action.PROJECT_REMOVED, Action.TOKEN_REMOVED)


class AuditQuerySet(models.QuerySet):
    def for_team(self, team: Team):
        """Entries of the team, and changes of the deployment that affected its figures; newest first."""
        return self.filter(Q(team=team) | Q(team=None, action__in=DEPLOYMENT_WIDE)).order_by("-created_at", "-id")


class AuditEntry(models.Model):
    """One action. Entries of the deployment have no team; without an actor it came from the command line, or from
    someone whose account was deleted."""

    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=SUBJECT_LENGTH, blank=True)
    address = models.CharField(max_length=50, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["team", "-created_at"], name="audit_by_team")]
        verbose_name_plural = "audit entries"

    def __str__(self):
        return f"{self.action}: {self.subject}"

    @property
    def who(self) -> str:
        """Who did it, in words; the portal administrator is not named."""
        if self.team_id is None:
            return "Portal administrator"
        if self.actor:
            return str(self.actor) + ("" if self.actor.is_active else DEACTIVATED)
        if self.address:
            return "someone whose account was deleted"
        return "the portal, after 30 days" if self.action in REMOVED_IN_TIME else "the command line"

    @property
    def origin(self) -> str:
        """The network that it came from, if the team may know."""
        return self.address if self.team_id else ""

    @classmethod
    def note(cls, request, team: Team | None, action: str, subject: str) -> "AuditEntry":
        """Write an entry for what `request` just did; `request` is None on the command line, `team` for the deployment.

        Call it in the transaction of the action itself, so that neither is stored without the other.
        """
        user = getattr(request, "user", None)
        return cls.objects.create(
            team=team,
            actor=user if user and user.is_authenticated else None,
            action=action,
            subject=subject[:SUBJECT_LENGTH],
            address=network_of(client_address(request)) if request else "",
        )


def client_address(request) -> str:
    """Return the client's address as the login throttle sees it, so that both use the same proxy setting."""
    from allauth.account.adapter import get_adapter  # its models load after these

    try:
        return get_adapter(request).get_client_ip(request)
    except PermissionDenied:  # served over a Unix socket without a proxy's header
        return ""


def network_of(address: str, kept_bits: dict[int, int] = KEPT_BITS) -> str:
    """Return an address's network: IPv4 to 24 bits, IPv6 to 48, or `kept_bits`; empty if invalid."""
    try:
        ip = ip_address(address)
    except ValueError:
        return ""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ip_network((ip.packed, kept_bits[ip.version]), strict=False))
