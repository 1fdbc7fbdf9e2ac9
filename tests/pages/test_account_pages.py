"""All pages of accounts are the portal's own: its frame, its words, its headers."""

from pathlib import Path

import pytest
from django.conf import settings as portal
from django.test import Client

from tests.pages.accounts import LOGIN, show_once_more, sign_in
from tests.pages.html import Page

TEMPLATES = str(Path(portal.BASE_DIR) / "templates")
STRANGERS = [
    LOGIN,
    "/accounts/signup/",
    "/accounts/inactive/",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/no-such-key/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/1-no-such-key/",
    "/accounts/password/reset/key/done/",
    "/accounts/3rdparty/login/cancelled/",
]
ONES_OWN = [
    "/accounts/logout/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/reauthenticate/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/",
    "/accounts/2fa/webauthn/add/",
    "/accounts/3rdparty/",
    "/settings/profile/",
    "/settings/profile/delete/",
    "/settings/sessions/",
]


def is_the_portals_own(answer) -> bool:
    page = Page(answer)
    assert "TraceML" in page.one("header").text
    assert page.one("h1").text
    assert page.one("title").text.endswith("· TraceML")
    assert b" style=" not in answer.content
    return answer.templates[0].origin.name.startswith(TEMPLATES)


@pytest.mark.parametrize("path", STRANGERS)
@pytest.mark.parametrize("signup", ["closed", "open"])
def test_what_a_stranger_meets(client, db, settings, path, signup):
    settings.TRACEML_SIGNUP = signup
    assert is_the_portals_own(client.get(path))


@pytest.mark.parametrize("path", ONES_OWN)
def test_what_a_person_looks_after(client, people, path):
    sign_in(client)
    show_once_more(client)
    assert is_the_portals_own(client.get(path))


def test_a_refusal_for_too_many_tries(people):
    for _ in range(6):
        answer = sign_in(Client(), password="wrong")
    assert answer.status_code == 429
    assert answer.templates[0].origin.name.startswith(TEMPLATES)
    assert "'unsafe" not in answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("path", [*ONES_OWN, "/settings/profile/export/"])
def test_nothing_of_a_person_is_kept_by_caches(client, people, path):
    sign_in(client)
    show_once_more(client)
    assert "no-store" in client.get(path)["Cache-Control"]
