"""Promise PS9 and PS15: every address refuses strangers but a short list; every answer carries its headers."""

import uuid

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

pytestmark = pytest.mark.django_db

#: What a stranger may open, by route name.
PUBLIC = {
    "healthz",
    "api-schema",
    "account_login",
    "account_signup",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
}
#: What answers a stranger without showing anything: sign-up's own states, and Django admin's translations.
HARMLESS = {"account_inactive", "account_logout", "account_confirm_email", "account_email_verification_sent", "login"}


def routes(patterns, prefix=""):
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield pattern.name, "/" + prefix + str(pattern.pattern)


def filled(route: str) -> str:
    """An address of a route: every part filled with something of its type."""
    import re

    filling = {"uuid": str(uuid.uuid4()), "batch_id": "b-1", "int": "1", "path": "x", "slug": "x", "str": "x"}
    address = re.sub(r"<(?:(\w+):)?\w+>", lambda match: filling.get(match[1] or "str", "x"), route)
    return re.sub(r"\(\?P<\w+>[^)]*\)", "x", address).replace("^", "").replace("\\Z", "").replace("$", "")


def test_a_stranger_finds_every_door_closed_but_the_public_ones(client):
    open_doors = set()
    for name, route in routes(get_resolver().url_patterns):
        if name in PUBLIC | HARMLESS:
            continue
        answer = client.get(filled(route))
        if answer.status_code not in (301, 302, 401, 403, 404, 405):
            open_doors.add((name, route, answer.status_code))
        if answer.status_code == 302:
            assert "/accounts/login/" in answer["Location"] or "/admin/login/" in answer["Location"], (name, answer)
    assert open_doors == set()


def test_the_public_list_is_at_most_eight():
    assert len(PUBLIC) <= 8


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
