"""The second factor: an authenticator app, recovery codes, keys; asked for after the password, in the admin too."""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client

from tests.screens.html import Page
from tests.screens.signing_in import code_now, is_signed_in, secret_of, show_once_more, sign_in

TOTP, CODES = "/accounts/2fa/totp/activate/", "/accounts/2fa/recovery-codes/"


@pytest.fixture
def secret(client, people) -> str:
    """Alice has set up an authenticator app, and is signed in with this client."""
    sign_in(client)
    show_once_more(client)
    secret = secret_of(Page(client.get(TOTP)))
    assert client.post(TOTP, {"code": code_now(secret)})["Location"] == CODES
    cache.clear()  # a code is good once, and tests are quicker than codes
    return secret


def second_step(browser, code: str):
    return browser.post("/accounts/2fa/authenticate/", {"code": code})


def after_the_password(**more) -> Client:
    browser = Client()
    assert sign_in(browser, **more)["Location"].startswith("/accounts/2fa/authenticate/")
    return browser


def test_setting_one_up_asks_for_the_password_once_more(client, people):
    sign_in(client)
    assert client.get(TOTP)["Location"].startswith("/accounts/reauthenticate/")


def test_the_password_alone_opens_nothing_once_there_is_a_second_factor(secret):
    browser = after_the_password()
    assert not is_signed_in(browser)
    assert browser.get("/api/v1/runs").status_code == 401


def test_the_code_of_the_app_opens_it(secret):
    browser = after_the_password()
    assert second_step(browser, code_now(secret))["Location"] == "/"
    assert is_signed_in(browser)


def test_a_wrong_code_does_not(secret):
    browser = after_the_password()
    wrong = f"{(int(code_now(secret)) + 1) % 1_000_000:06}"
    assert "Incorrect code" in Page(second_step(browser, wrong)).text
    assert not is_signed_in(browser)


def test_a_code_is_good_once(secret):
    code = code_now(secret)
    second_step(after_the_password(), code)
    again = after_the_password()
    second_step(again, code)
    assert not is_signed_in(again)


def test_guessing_codes_is_refused_with_a_time_to_wait(secret):
    browser = after_the_password()
    answers = [second_step(browser, "000000") for _ in range(6)]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) >= 60


def unused_codes(client) -> list[str]:
    return [item.text for item in Page(client.get(CODES)).one("main").all("code")]


def test_a_recovery_code_opens_it_once(client, secret):
    codes = unused_codes(client)
    assert len(set(codes)) == 10
    browser = after_the_password()
    assert second_step(browser, codes[0])["Location"] == "/"
    again = after_the_password()
    second_step(again, codes[0])
    assert not is_signed_in(again)
    assert len(unused_codes(client)) == 9


def test_recovery_codes_can_be_downloaded_and_made_anew(client, secret):
    codes = unused_codes(client)
    downloaded = client.get(CODES + "download/")
    assert downloaded.content.decode().split() == codes
    assert "no-store" in downloaded["Cache-Control"]
    client.post(CODES + "generate/")
    assert set(unused_codes(client)).isdisjoint(codes)


def test_it_can_be_turned_off_and_then_the_password_is_enough(client, secret):
    assert client.post("/accounts/2fa/totp/deactivate/").status_code == 302
    assert sign_in(Client())["Location"] == "/"


def test_the_admin_asks_for_it_too(secret, people):
    people.alice.is_staff = people.alice.is_superuser = True
    people.alice.save()
    browser = after_the_password(next="/admin/")
    assert browser.get("/admin/").status_code == 302
    assert second_step(browser, code_now(secret))["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200


def test_the_app_shows_the_portal_and_the_address(client, people):
    from base64 import b64decode

    sign_in(client)
    show_once_more(client)
    page = client.get(TOTP)
    assert page.context["totp_url"].startswith("otpauth://totp/alice%40example.org?secret=")
    assert page.context["totp_url"].endswith("issuer=TraceML")
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page.content.decode())
    assert b"<svg" in b64decode(picture)


def test_passkeys_belong_to_the_portals_own_address(settings, client, people):
    settings.TRACEML_BASE_URL = "https://traceml.example"
    sign_in(client)
    show_once_more(client)
    asked = Page(client.get("/accounts/2fa/webauthn/add/", headers={"host": "localhost"})).data("js_data")
    assert asked["creation_options"]["publicKey"]["rp"] == {"id": "traceml.example", "name": "TraceML"}


NO_ANSWERS = [
    "",
    "{}",
    "[]",
    "nonsense",
    '{"id": 1}',
    '{"id": "x", "rawId": "x", "response": {"userHandle": "x"}}',
    '{"id": "eA", "rawId": "eA", "response": {"clientDataJSON": "e30", "attestationObject": ""}}',
    '{"id": "eA", "rawId": "eA", "response": {"clientDataJSON": "e30", "authenticatorData": "eA", "signature": "eA"}}',
]


@pytest.mark.parametrize("credential", NO_ANSWERS)
def test_what_is_no_key_is_refused_and_breaks_nothing(client, people, credential):
    sign_in(client)
    show_once_more(client)
    client.get("/accounts/2fa/webauthn/add/")
    answer = client.post("/accounts/2fa/webauthn/add/", {"name": "key", "credential": credential})
    assert answer.status_code == 200
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("credential", NO_ANSWERS)
def test_a_passkey_login_with_what_is_no_key_signs_nobody_in(client, people, credential):
    client.get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json"})
    assert client.post("/accounts/2fa/webauthn/login/", {"credential": credential}).status_code == 302
    assert not is_signed_in(client)


@pytest.mark.parametrize("credential", NO_ANSWERS)
def test_what_is_no_key_is_no_second_factor(secret, credential):
    browser = after_the_password()
    browser.get("/accounts/2fa/authenticate/")
    assert browser.post("/accounts/2fa/authenticate/", {"credential": credential}).status_code == 200
    assert not is_signed_in(browser)


def test_nobody_else_sees_or_removes_a_key(client, people, charlie):
    key = Authenticator.objects.create(user=people.alice, type="webauthn", data={"name": "phone", "credential": {}})
    sign_in(client, "charlie@example.org")
    show_once_more(client)
    for page in ("edit", "remove"):
        assert client.get(f"/accounts/2fa/webauthn/keys/{key.pk}/{page}/").status_code == 404
        assert client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/{page}/", {"name": "x"}).status_code == 404
    assert Authenticator.objects.filter(pk=key.pk).exists()


def test_the_database_holds_no_secret_in_plain_text(client, secret):
    kept = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert "secret" in kept
    for plain in (secret, *unused_codes(client)):
        assert plain not in kept


def test_under_another_key_of_the_deployment_no_code_fits_and_nothing_breaks(secret, settings):
    settings.SECRET_KEY = "another-" + "0123456789abcdef" * 4
    browser = after_the_password()
    assert "Incorrect code" in Page(second_step(browser, code_now(secret))).text
