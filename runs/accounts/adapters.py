"""Who may sign up and sign in: what TraceML changes about allauth."""

import base64
import hmac
import logging
from ipaddress import ip_address
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.models import EmailAddress
from allauth.account.utils import get_next_redirect_url
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import respond_429
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet, InvalidToken
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from runs import limits, mail
from runs.models import User
from runs.text import LONGEST_EMAIL
from runs.web.arrival import invitation_opens_the_door

logger = logging.getLogger(__name__)
LOCKED_OUT_S = 300


def move_to_address(user: User, old: str, keeping: str | None = None) -> None:
    """Replace the old address of `user` by the new one at once.

    The old address no longer signs in or receives links, links already sent to it stop working, and all sessions
    except `keeping` end.
    """
    EmailAddress.objects.filter(user=user, email__iexact=old).delete()
    EmailAddress.objects.filter(user=user, primary=True).update(primary=False)
    chosen = {"primary": True, "verified": True}  # the administrator vouches for it
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults=chosen)
    for session in UserSession.objects.filter(user=user).exclude(session_key=keeping or ""):
        session.end()


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request) -> bool:
        """Whether this browser may create an account: by the setting, or by an invitation whatever the setting."""
        return settings.TRACEML_SIGNUP == "open" or invitation_opens_the_door(request)

    def authenticate(self, request, **credentials):
        """None for a locked account too: allauth's own page for it would confirm the password."""
        user = super().authenticate(request, **credentials)
        return user if user and user.is_active else None

    def get_client_ip(self, request) -> str:
        """The address that rate limits count by. IPv4-mapped addresses count as IPv4, or all would share one limit."""
        ip = super().get_client_ip(request)
        return str(mapped) if (mapped := getattr(_parsed(ip), "ipv4_mapped", None)) else ip

    def pre_authenticate(self, request, **credentials) -> None:
        limits.PASSWORDS.spend(limits.address_of(request))
        super().pre_authenticate(request, **credentials)

    def _rollback_login_failed_rl_usage(self) -> None:
        """Called after a correct password: only wrong ones count."""
        super()._rollback_login_failed_rl_usage()
        limits.PASSWORDS.give_back(limits.address_of(context.request))

    def clean_email(self, email: str) -> str:
        """Refuse what the column can't hold: allauth would truncate it, or PostgreSQL would fail."""
        if len(email) > LONGEST_EMAIL:
            raise ValidationError(f"An email address must have at most {LONGEST_EMAIL} characters.")
        return super().clean_email(email)

    def is_safe_url(self, url: str) -> bool:
        """Only paths of this portal: allauth would follow a `next` to any of ALLOWED_HOSTS."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def validation_error(self, code, *args):
        """Answer too many attempts with 429, whichever form counted them; other codes are errors of the form."""
        if code != "too_many_login_attempts":
            return super().validation_error(code, *args)
        answer = respond_429(context.request)
        answer["Retry-After"] = str(LOCKED_OUT_S)
        raise ImmediateHttpResponse(answer)

    def _get_login_attempts_cache_key(self, request, **credentials) -> str:
        # allauth's own key contains the Host header, and a client could vary its port to get new attempts.
        return credentials.get("email", "").lower()

    def send_mail(self, template_prefix: str, email: str, context: dict) -> None:
        """Render an email whose links start with TRACEML_BASE_URL, and queue it."""
        links = {name: mail.portal_link(value) for name, value in context.items() if name.endswith("_url")}
        site = SimpleNamespace(name="TraceML", domain=settings.TRACEML_BASE_URL)
        known = {"request": self.request, "email": email, "current_site": site}
        try:
            limits.MAILS.spend(email.lower())
        except limits.Exceeded:
            # The answer stays the same: it must not tell whether the address has an account.
            logger.warning("An email was not sent: its address got %s within a day", limits.MAILS.most)
            return
        message = self.render_mail(template_prefix, email, known | context | links)
        mail.send.enqueue(email, message.subject, str(message.body))


def _parsed(ip: str):
    try:
        return ip_address(ip)
    except ValueError:
        return None


class OneAddressOneAccount(ModelBackend):
    """Sign in with a confirmed address or the account's own: at most one account, and always one hash.

    allauth tries every account that ever added the address, even unconfirmed.
    """

    def authenticate(self, request, username=None, password=None, *, email="", **credentials):
        if not email or password is None:
            return None
        confirmed = User.objects.filter(emailaddress__email=email.lower(), emailaddress__verified=True)
        user = confirmed.first() or User.objects.filter(email=email.lower()).first()
        if user is None:
            make_password(password)
            return None
        return user if user.check_password(password) and self.user_can_authenticate(user) else None


def _vault() -> Fernet:
    key = hmac.digest(settings.SECRET_KEY.encode(), b"traceml.second-factor", "sha256")
    return Fernet(base64.urlsafe_b64encode(key))


class SecondFactorAdapter(DefaultMFAAdapter):
    """Encrypt the secrets of authenticator apps and recovery codes: a stolen database alone opens no account."""

    def encrypt(self, text: str) -> str:
        return _vault().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret. If SECRET_KEY has changed since, a random one that no code matches."""
        try:
            return _vault().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            logger.warning("A second factor was created with another SECRET_KEY; its owner needs a new one")
            return generate_totp_secret()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to TRACEML_BASE_URL, not to the Host header of a request."""
        return {"id": urlsplit(settings.TRACEML_BASE_URL).hostname or "", "name": "TraceML"}


class LoginForm(AllauthLoginForm):
    remember = forms.BooleanField(label="Stay signed in", required=False)


class SignupForm(AllauthSignupForm):
    """Answer the same, in the same time, whether or not the address has an account.

    With mail, the owner of an existing account gets an email. Without mail, signing up does not sign in, because
    that would tell a new account from an existing one.
    """

    def validate_unique_email(self, value: str) -> str:
        if not settings.MAIL_IS_SET_UP:
            self.account_already_exists = User.objects.filter(email=value).exists()
            return value
        return super().validate_unique_email(value)

    def try_save(self, request):
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])  # takes the time of a new account
            get_adapter().unstash_verified_email(request)  # and leaves a session as that would
        if settings.MAIL_IS_SET_UP:
            return super().try_save(request)
        if not self.account_already_exists:
            self._save_unless_taken(request)
        messages.success(
            request, "You can now sign in. If this address already had an account, its password is unchanged."
        )
        after = get_next_redirect_url(request)
        login = reverse("account_login")
        return None, redirect(f"{login}?{urlencode({'next': after})}" if after else login)

    def _save_unless_taken(self, request) -> None:
        try:
            with transaction.atomic():
                self.save(request)
        except IntegrityError:
            pass  # a concurrent request used the same address
