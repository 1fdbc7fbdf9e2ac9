"""Everything that the portal stores about one person, for the download of their data."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession

from runs.models import ApiToken, AuditEntry, Invitation, Membership, SavedView, User

ACCOUNT = (
    "email",
    "first_name",
    "last_name",
    "time_zone",
    "theme",
    "shows_equivalences",
    "is_staff",
    "date_joined",
    "last_login",
)
ACT = ("created_at", "action", "subject", "address")
INVITATION = ("email", "role", "created_at", "expires_at")
TOKEN = (
    "name",
    "lookup_id",
    "scopes",
    "runs_are_of",
    "project__name",
    "created_at",
    "expires_at",
    "revoked_at",
    "last_used_at",
    "last_used_agent",
)


def everything_about(user: User) -> dict:
    """Plain data, without the secrets of tokens and second factors, which only a thief could use."""
    return {
        "account": User.objects.filter(pk=user.pk).values(*ACCOUNT).get(),
        "email_addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "second_factors": list(Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at")),
        "sign_ons": list(
            SocialAccount.objects.filter(user=user).values("provider", "uid", "date_joined", "extra_data")
        ),
        "sessions": list(UserSession.objects.filter(user=user).values("created_at", "ip", "user_agent")),
        "memberships": list(Membership.objects.filter(user=user).values("team__name", "role", "created_at")),
        "acts": list(AuditEntry.objects.filter(actor=user).values("team__name", *ACT)),
        "invitations_made": list(Invitation.objects.filter(invited_by=user).values("team__name", *INVITATION)),
        "saved_views": list(SavedView.objects.filter(user=user).values("name", "query", "created_at")),
        "tokens": list(ApiToken.objects.filter(created_by=user).values(*TOKEN)),
    }
