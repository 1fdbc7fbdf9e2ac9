"""Promises PS9 and PS15: every address refuses strangers but a short list; every answer carries its headers."""

import gzip
import re
import uuid

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

pytestmark = pytest.mark.django_db

#: What a stranger may open: the doors, and the routes behind each. Signing in (with a new password for who forgot it)
#: and signing up take several pages each, all below /accounts/. Beside these there are only the files below /static/.
DOORS = {
    "health": {"healthz"},
    "documentation": {"api-schema", "api_docs", "methodology"},
    "signing in": {
        "account_login",
        "account_logout",
        "account_inactive",
        "mfa_login_webauthn",
        "openid_connect_login",
        "openid_connect_callback",
        "socialaccount_login_cancelled",
        "socialaccount_login_error",
        "account_reset_password",
        "account_reset_password_done",
        "account_reset_password_from_key",
        "account_reset_password_from_key_done",
    },
    "signing up": {"account_signup", "account_confirm_email", "account_email_verification_sent"},
    "the agent": {"agent_packages", "agent_files", "agent_wheel"},
    "invitations": {"join_by_link"},
    "share links": {"shared"},
    "badges": {"badge"},
}
PUBLIC = set().union(*DOORS.values())
ACCOUNT_DOORS = ("signing in", "signing up")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
LOGINS = ("/accounts/login/", "/admin/login/")


def routes(patterns, prefix=""):
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield pattern.name, "/" + prefix + str(pattern.pattern)


def filled(route: str) -> str:
    """An address of a route: every part filled with something of its type."""
    filling = {"uuid": str(uuid.uuid4()), "batch_id": "b-1", "int": "1", "path": "x", "slug": "x", "str": "x"}
    address = re.sub(r"<(?:(\w+):)?\w+>", lambda match: filling.get(match[1] or "str", "x"), route)
    return re.sub(r"\^|\$|\\Z|/\?|\+", "", re.sub(r"\(\?P<\w+>[^)]*\)", "x", address))


def answer_to_a_stranger(client, method: str, address: str) -> str:
    """`closed`, or what else came; not found is no refusal, as it may be said of the filling alone."""
    answer = client.generic(method, address)
    to_login = answer.status_code == 302 and answer["Location"].split("?")[0] in LOGINS
    return "closed" if to_login or answer.status_code in (401, 403) else f"{method} {answer.status_code}"


def test_a_stranger_finds_every_door_closed_but_the_public_ones(client):
    """Every URL pattern of the portal, the admin's and the API's among them, by every method."""
    found = {
        (name, route, answer_to_a_stranger(client, method, filled(route)))
        for name, route in routes(get_resolver().url_patterns)
        for method in METHODS
        if name not in PUBLIC
    }
    assert {answer for _, _, answer in found} == {"closed"}, [each for each in found if each[2] != "closed"]
    assert len(found) > 60


def test_there_are_at_most_eight_doors():
    assert len(DOORS) <= 8


def test_behind_a_door_are_only_the_pages_that_it_names():
    addresses = {name: route for name, route in routes(get_resolver().url_patterns) if name in PUBLIC}
    assert set(addresses) == PUBLIC
    for door in ACCOUNT_DOORS:
        assert all(addresses[name].startswith("/accounts/") for name in DOORS[door])


@pytest.mark.parametrize("address", ["/s/x/", "/badge/x.svg", "/join/x/"])
def test_a_public_door_shows_nothing_to_who_has_no_key(client, people, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/accounts/login/", "/admin/", "/api/v1/runs", "/nowhere/", "/"])
def test_every_answer_carries_the_security_headers(client, path):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "geolocation=()" in headers["Permissions-Policy"]
    assert "no-store" in headers["Cache-Control"]
    assert headers["X-Request-ID"]


def test_healthz_answers_a_stranger(client):
    assert client.get(reverse("healthz")).content == b"ok"


def test_a_missing_page_is_a_page_and_a_missing_api_route_is_json(client, people):
    client.force_login(people.alice)
    assert "text/html" in client.get("/nowhere/")["Content-Type"]
    assert client.get("/api/v1/nowhere")["Content-Type"] == "application/problem+json"


def test_sign_up_is_closed_unless_the_deployment_opens_it(client):
    assert b"password1" not in client.get("/accounts/signup/").content


def test_a_page_goes_compressed_to_a_browser_that_takes_it(client):
    answer = client.get("/accounts/login/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"<html" in gzip.decompress(answer.content)
