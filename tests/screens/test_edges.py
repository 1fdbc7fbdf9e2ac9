"""Edges of what pages take: days in every zone, texts as long as a column, cookies and JSON that no browser sends."""

import json

import pytest

from runs.models import Invitation, User
from tests.screens.signing_in import show_once_more

LAB = "/settings/teams/vision-lab/"
ZONES = ["UTC", "Asia/Tokyo", "Pacific/Honolulu", "Pacific/Kiritimati", "America/Havana"]
DAYS = ["0001-01-01", "1999-12-31", "2026-03-08", "9999-12-31"]
PAGES_OF_DAYS = ["/", "/runs/", "/runs/export.csv", "/runs/live", f"{LAB}audit/", f"{LAB}audit.csv"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("path", PAGES_OF_DAYS)
def test_days_at_the_ends_of_the_calendar_find_what_there_is_or_nothing(alice, run, people, zone, path):
    run()
    User.objects.update(time_zone=zone)
    for since in ("", *DAYS):
        for until in ("", *DAYS):
            answer = alice.get(path, {"since": since, "until": until})
            assert answer.status_code == 200, (since, until)
            assert b"".join(answer) if answer.streaming else answer.content


def test_the_audit_log_of_all_days_has_all_entries(alice):
    alice.post(f"{LAB}rename/", {"name": "Renamed"})
    asked = {"since": "0001-01-01", "until": "9999-12-31"}
    assert "Renamed" in alice.read(f"{LAB}audit/", **asked).text


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("path", ["/start/digits/", "/start/digits/news"])
@pytest.mark.parametrize(
    "since",
    ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "9998-12-31T23:59:59Z", "0002-01-01T00:00:00Z", "1e400"],
)
def test_a_time_at_the_ends_of_the_calendar_is_refused_or_finds_nothing(alice, zone, path, since):
    User.objects.update(time_zone=zone)
    assert alice.get(path, {"since": since}).status_code in (200, 400)


def address(length: int) -> str:
    """An email address of so many characters whose parts are as long as they may be."""
    domain = ".".join(["b" * 61] * 3) + ".info"
    return "a" * (length - len(domain) - 1) + "@" + domain


@pytest.mark.parametrize(("length", "invited"), [(254, 1), (255, 0), (320, 0)])
def test_an_address_that_no_column_holds_is_named(alice, length, invited):
    answer = alice.post(f"{LAB}invitations/", {"email": address(length), "role": "member"})
    assert answer.status_code == (302 if invited else 200)
    assert Invitation.objects.count() == invited
    assert invited or "at most 254 characters" in answer.content.decode()


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages"])
@pytest.mark.parametrize("value", [r'"\000\000\000aaaaaaaaa"', r'"\355\240\200aaaaaaaaaa"', "x" * 4000, '"', ""])
def test_a_cookie_that_the_portal_never_gave_is_no_session(client, people, name, value):
    """A quoted cookie may hold any byte, a NUL too."""
    for path in ("/", "/accounts/login/", "/api/v1/runs"):
        answer = client.generic("GET", path, HTTP_COOKIE=f"{name}={value}")
        assert answer.status_code in (200, 302, 400, 401)


@pytest.mark.parametrize(
    "credential",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        r'{"id": "\ud800"}',
        r'{"id": "\u0000"}',
        "1e999",
        "NaN",
        "9" * 5000,
        "[]",
        "null",
    ],
)
@pytest.mark.parametrize("path", ["/accounts/2fa/webauthn/add/", "/accounts/2fa/webauthn/login/"])
def test_an_answer_of_a_key_that_no_browser_gives_is_refused(alice, client, people, path, credential):
    reader = client if path.endswith("login/") else alice
    if reader is alice:
        show_once_more(alice)
    reader.get(path)
    answer = reader.post(path, {"name": "key", "credential": credential})
    assert answer.status_code in (200, 302, 400)


@pytest.mark.parametrize("number", [str(2**31), str(2**63), "9" * 400, "-1", "1e400", "٣", "²", "0x10"])
def test_a_number_that_no_column_holds_is_named(alice, number):
    answer = alice.post(f"{LAB}projects/digits/retention/", {"keep_series_days": number})
    assert answer.status_code in (200, 302)
    for path in (
        f"{LAB}tokens/{2**63}/revoke/",
        f"{LAB}members/{10**30}/role/",
        f"/runs/views/{10**400}/delete/",
    ):
        assert alice.post(path).status_code == 404


def test_json_of_a_filter_may_be_anything(alice, run):
    run()
    odd = ["[" * 3000, '{"a":' * 900, r'{"a": "\ud800"}', r'{"\u0000": 1}', '{"a": 1e999}', json.dumps({"a": 10**30})]
    for text in [*odd, '{"a": NaN}', '{"lr": 1e308}', "9" * 4000, '{"a": -0.0}']:
        assert alice.get("/runs/", {"param": text}).status_code == 200, text
