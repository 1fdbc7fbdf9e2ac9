"""What tests of accounts share: forms sent as a browser sends them, codes of an app, counted hashes."""

import re

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail

from tests.people import PASSWORD
from tests.screens.html import Page

LOGIN = "/accounts/login/"
SIGNUP = "/accounts/signup/"
RESET = "/accounts/password/reset/"
FRESH = "a quite different phrase"


class CountingHasher(MD5PasswordHasher):
    """Counts the hashes that it makes: what takes a login's time in earnest."""

    made = 0

    def encode(self, password, salt):
        type(self).made += 1
        return super().encode(password, salt)


def hashes(action) -> int:
    """How many password hashes an action takes."""
    before = CountingHasher.made
    action()
    return CountingHasher.made - before


def sign_in(client, login="alice@example.org", password=PASSWORD, **more):
    return client.post(LOGIN, {"login": login, "password": password} | more)


def sign_up(client, email, password=FRESH, **more):
    return client.post(SIGNUP, {"email": email, "password1": password, "password2": password} | more)


def show_once_more(client) -> None:
    """Type the password again, as the pages that can lock one out ask for it."""
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def errors(answer) -> str:
    return next(each.text for each in Page(answer).one("main").all("div") if each.attributes.get("role") == "alert")


def messages(client, path) -> str:
    """The notes at the head of the page that a person comes to."""
    page = Page(client.get(path))
    return " ".join(each.text for each in page.one("main").all("p") if each.attributes.get("role") == "status")


def is_signed_in(client) -> bool:
    return client.get("/settings/profile/").status_code == 200


def only_link() -> str:
    """The one link of the one mail that was sent."""
    (letter,) = mail.outbox
    (link,) = re.findall(r"https?://\S+/accounts/\S+", str(letter.body))
    return link


def code_now(secret: str) -> str:
    """What an authenticator app shows."""
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def secret_of(page: Page) -> str:
    return page.by_id("authenticator_secret").text
