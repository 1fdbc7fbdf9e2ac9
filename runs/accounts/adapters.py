"""Who may sign up and sign in: where TraceML departs from allauth's ways."""

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
    """Let the new address of `user` stand in for the old one at once.

    That neither signs in nor gets links any longer, links that it got lead nowhere, and every session but `keeping`
    ends.
    """
    EmailAddress.objects.filter(user=user, email__iexact=old).delete()
    EmailAddress.objects.filter(user=user, primary=True).update(primary=False)
    chosen = {"primary": True, "verified": True}  # whoever looks after people vouches for it
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults=chosen)
    for session in UserSession.objects.filter(user=user).exclude(session_key=keeping or ""):
        session.end()


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request) -> bool:
        """Whether this browser may make an account: an invitation opens the door for it, whatever the setting."""
        return settings.TRACEML_SIGNUP == "open" or invitation_opens_the_door(request)

    def authenticate(self, request, **credentials):
        """None for a locked account as well: allauth's own page for it would confirm the password."""
        user = super().authenticate(request, **credentials)
        return user if user and user.is_active else None

    def get_client_ip(self, request) -> str:
        """The address that throttles count by. IPv4 on a socket of IPv6 is IPv4, else all of it were one site."""
        ip = super().get_client_ip(request)
        return str(mapped) if (mapped := getattr(_parsed(ip), "ipv4_mapped", None)) else ip

    def pre_authenticate(self, request, **credentials) -> None:
        limits.PASSWORDS.spend(limits.address_of(request))
        super().pre_authenticate(request, **credentials)

    def _rollback_login_failed_rl_usage(self) -> None:
        """After a right password: only wrong ones count."""
        super()._rollback_login_failed_rl_usage()
        limits.PASSWORDS.give_back(limits.address_of(context.request))

    def clean_email(self, email: str) -> str:
        """Refuse what the column can't hold: allauth would cut it, or PostgreSQL raise."""
        if len(email) > LONGEST_EMAIL:
            raise ValidationError(f"An e-mail address has at most {LONGEST_EMAIL} characters here.")
        return super().clean_email(email)

    def is_safe_url(self, url: str) -> bool:
        """Own paths only: allauth would follow a `next` to any of ALLOWED_HOSTS."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def validation_error(self, code, *args):
        """Too many tries end the request with 429, whichever form counted them; all else is the form's error."""
        if code != "too_many_login_attempts":
            return super().validation_error(code, *args)
        answer = respond_429(context.request)
        answer["Retry-After"] = str(LOCKED_OUT_S)
        raise ImmediateHttpResponse(answer)

    def _get_login_attempts_cache_key(self, request, **credentials) -> str:
        # allauth's own key holds the Host header, whose port anybody may vary to get new tries.
        return credentials.get("email", "").lower()

    def send_mail(self, template_prefix: str, email: str, context: dict) -> None:
        """Render a mail whose links start with TRACEML_BASE_URL, and leave it to the task."""
        links = {name: mail.portal_link(value) for name, value in context.items() if name.endswith("_url")}
        site = SimpleNamespace(name="TraceML", domain=settings.TRACEML_BASE_URL)
        known = {"request": self.request, "email": email, "current_site": site}
        try:
            limits.MAILS.spend(email.lower())
        except limits.Exceeded:
            # Whoever asked for it hears the same as ever: it may not be theirs to know.
            logger.warning("A mail was not sent: its address got %s within a day", limits.MAILS.most)
            return
        message = self.render_mail(template_prefix, email, known | context | links)
        mail.send.enqueue(email, message.subject, str(message.body))


def _parsed(ip: str):
    try:
        return ip_address(ip)
    except ValueError:
        return None


class OneAddressOneAccount(ModelBackend):
    """Signs in by a confirmed address, or by the account's own: one account at most, and one hash in any case.

    allauth tries every account that ever added the address, unconfirmed too.
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
    """Keeps the secrets of apps and recovery codes encrypted: a stolen database alone opens no account."""

    def encrypt(self, text: str) -> str:
        return _vault().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret; one that no code fits where SECRET_KEY is another one by now."""
        try:
            return _vault().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            logger.warning("A second factor was made under another SECRET_KEY; its owner needs a new one")
            return generate_totp_secret()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to TRACEML_BASE_URL, not to the Host that a request claimed."""
        return {"id": urlsplit(settings.TRACEML_BASE_URL).hostname or "", "name": "TraceML"}


class LoginForm(AllauthLoginForm):
    remember = forms.BooleanField(label="Stay signed in", required=False)


class SignupForm(AllauthSignupForm):
    """Answers the same, in the same time, whether the address has an account or not.

    Where mail is set up its owner is told by mail. Without mail nobody is signed in by signing up, as that alone
    would tell a new account from an old one.
    """

    def validate_unique_email(self, value: str) -> str:
        if not settings.MAIL_IS_SET_UP:
            self.account_already_exists = User.objects.filter(email=value).exists()
            return value
        return super().validate_unique_email(value)

    def try_save(self, request):
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])  # what a new account would take,
            get_adapter().unstash_verified_email(request)  # and would begin: a session
        if settings.MAIL_IS_SET_UP:
            return super().try_save(request)
        if not self.account_already_exists:
            self._save_unless_taken(request)
        messages.success(request, "Now sign in. If this address had an account before, its password is unchanged.")
        after = get_next_redirect_url(request)
        login = reverse("account_login")
        return None, redirect(f"{login}?{urlencode({'next': after})}" if after else login)

    def _save_unless_taken(self, request) -> None:
        try:
            with transaction.atomic():
                self.save(request)
        except IntegrityError:
            pass  # another request was quicker with the same address
