"""A person's account in a real browser: signed up, with a second factor, with a passkey; nothing breaks the policy."""

import time

import pytest

from runs.accounts.departure import deactivate
from runs.models import User
from tests.screens.signing_in import FRESH, code_now

pytestmark = pytest.mark.browser

EMAIL = "dora@example.org"
#: A phone that unlocks by itself.
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def dora(tab, settings, live_server, db):
    """The tab of somebody who signs up and signs in."""
    settings.TRACEML_SIGNUP, settings.TRACEML_BASE_URL = "open", live_server.url
    page = tab.open("/accounts/signup/")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(FRESH)
    page.get_by_label("Password (again)").fill(FRESH)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/accounts/login/")
    sign_in(tab)
    page.wait_for_url("**/start/**")
    return tab


def sign_in(tab) -> None:
    tab.page.get_by_label("Email").fill(EMAIL)
    tab.page.get_by_label("Password", exact=True).fill(FRESH)
    tab.page.get_by_role("button", name="Sign in").click()


def sign_out(tab) -> None:
    tab.page.get_by_label(f"Account: {EMAIL}").click()
    tab.page.get_by_role("button", name="Sign out").click()
    tab.page.wait_for_url("**/accounts/login/")


def show_once_more(tab) -> None:
    tab.page.get_by_label("Password", exact=True).fill(FRESH)
    tab.page.get_by_role("button", name="Continue").click()


def type_code(page, secret: str) -> None:
    if time.time() % 30 > 26:
        time.sleep(5)  # or the code would be another one by the time that it arrives
    page.get_by_label("Code").fill(code_now(secret))


def set_up_app(tab) -> str:
    """Turn on an authenticator app; returns its secret."""
    page = tab.open("/settings/profile/")
    page.get_by_role("link", name="Second factor").click()
    page.get_by_role("link", name="Set up").click()
    show_once_more(tab)
    secret = page.locator("#authenticator_secret").inner_text()
    type_code(page, secret)
    page.get_by_role("button", name="Turn on").click()
    page.wait_for_url("**/recovery-codes/")
    return secret


def test_a_person_signs_up_out_and_in(dora):
    sign_out(dora)
    sign_in(dora)
    dora.page.wait_for_url(dora.base + "/")
    assert dora.complaints == []


def test_an_authenticator_app_is_set_up_and_asked_for(dora):
    secret = set_up_app(dora)
    assert dora.page.locator(".codes li").count() == 10
    sign_out(dora)
    sign_in(dora)
    dora.page.wait_for_url("**/2fa/authenticate/**")
    type_code(dora.page, secret)
    dora.page.get_by_role("button", name="Sign in").click()
    dora.page.wait_for_url(dora.base + "/")
    assert dora.complaints == []


@pytest.fixture
def phone(dora):
    """An authenticator in Dora's browser, with a passkey for the portal."""
    devtools = dora.page.context.new_cdp_session(dora.page)
    devtools.send("WebAuthn.enable")
    added = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page = dora.open("/accounts/2fa/")
    page.get_by_role("link", name="Add a key").click()
    show_once_more(dora)
    page.get_by_label("Name").fill("My phone")
    page.get_by_label("As a passkey").check()
    page.get_by_role("button", name="Add key").click()
    page.wait_for_url("**/recovery-codes/")
    return devtools, added["authenticatorId"]


def test_a_passkey_signs_in_without_the_password(dora, phone):
    assert dora.open("/accounts/2fa/webauthn/").get_by_text("My phone").is_visible()
    sign_out(dora)
    dora.page.get_by_role("button", name="Use a passkey").click()
    dora.page.wait_for_url(dora.base + "/")
    assert dora.complaints == []


def test_a_passkey_lets_nobody_in_whose_account_is_deactivated(dora, phone):
    sign_out(dora)
    deactivate(User.objects.get(email=EMAIL))
    dora.page.get_by_role("button", name="Use a passkey").click()
    dora.page.wait_for_url("**/accounts/inactive/")
    assert dora.open("/settings/profile/").get_by_role("heading", name="Sign in").is_visible()
    assert dora.complaints == []


def test_a_passkey_is_a_second_factor_too(dora, phone):
    sign_out(dora)
    sign_in(dora)
    dora.page.wait_for_url("**/2fa/authenticate/**")
    dora.page.get_by_role("button", name="Use a passkey or security key").click()
    dora.page.wait_for_url(dora.base + "/")
    assert dora.complaints == []


def test_a_key_that_refuses_is_told_of_on_the_page(dora, phone):
    devtools, authenticator = phone
    sign_out(dora)
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    dora.page.get_by_role("button", name="Use a passkey").click()
    dora.page.get_by_role("alert").wait_for()
    assert "didn’t work" in dora.page.get_by_role("alert").inner_text()
    assert dora.complaints == []


def test_the_switch_in_one_browser_changes_the_theme_in_another(dora, chromium):
    dora.page.emulate_media(color_scheme="light")
    with dora.page.expect_response("**/settings/theme/"):
        dora.page.get_by_role("button", name="Theme").click()
    with dora.page.expect_response("**/settings/theme/"):
        dora.page.get_by_role("button", name="Theme").click()
    assert User.objects.get(email=EMAIL).theme == "dark"
    with chromium.new_context(color_scheme="light") as other:
        other.add_cookies(dora.page.context.cookies())
        page = other.new_page()
        page.goto(dora.base + "/")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert dora.complaints == []


def test_a_theme_chosen_in_the_profile_is_in_force_at_once(dora):
    page = dora.open("/settings/profile/")
    page.get_by_label("Theme", exact=True).select_option("dark")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Profile saved.").wait_for()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert dora.complaints == []
