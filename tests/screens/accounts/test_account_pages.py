"""All pages of accounts are the portal's own: its frame, its words, its headers."""

import re
from pathlib import Path

import pytest
from django.conf import settings as portal
from django.core import mail
from django.test import Client

from tests.screens.html import Page
from tests.screens.signing_in import LOGIN, show_once_more, sign_in

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


#: "Email" names an address; all else with that word promises something to be sent or looked for.
MAIL = re.compile(r"\bmails?\b|\bspam\b|\bmailbox|your email\b(?! address)|\bby email\b|\bwe sent\b", re.I)
INVITE = "/settings/teams/vision-lab/invitations/"


@pytest.mark.parametrize("path", STRANGERS)
def test_without_mail_no_page_of_strangers_speaks_of_it(client, people, path):
    assert not MAIL.findall(Page(client.get(path)).text)


@pytest.mark.parametrize("path", [*ONES_OWN, "/settings/teams/vision-lab/members/", "/settings/teams/vision-lab/"])
def test_without_mail_no_page_of_ones_own_speaks_of_it(client, people, path):
    sign_in(client)
    show_once_more(client)
    assert not MAIL.findall(Page(client.get(path)).text)


def test_without_mail_an_invitation_for_an_address_is_a_link_to_copy(client, people):
    sign_in(client)
    told = Page(client.post(INVITE, {"role": "member", "email": "dora@example.org"}, follow=True)).text
    assert "Copy the link and send it to dora@example.org" in told
    assert not MAIL.findall(told)
    assert mail.outbox == []


def test_without_mail_a_forgotten_password_has_a_remedy(client, people):
    told = Page(client.post("/accounts/password/reset/", {"email": "alice@example.org"}, follow=True)).text
    assert "Ask the portal administrator" in told
    assert not MAIL.findall(told)


def test_with_mail_the_pages_say_where_to_look(client, people, settings):
    settings.MAIL_IS_SET_UP = True
    sign_in(client)
    told = Page(client.post(INVITE, {"role": "member", "email": "dora@example.org"}, follow=True)).text
    assert "We sent this link to dora@example.org" in told
    assert "Check your email" in Page(client.get("/accounts/password/reset/done/")).text
