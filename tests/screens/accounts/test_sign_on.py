"""Single sign-on by OpenID Connect: offered where the deployment names a provider, and bound to its own rules."""

from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from runs.models import Invitation, Membership, User
from tests.fakes.openid import Provider
from tests.screens.html import Page
from tests.screens.signing_in import LOGIN, is_signed_in, show_once_more, sign_in

START, BACK = "/accounts/oidc/oidc/login/", "/accounts/oidc/oidc/login/callback/"


@pytest.fixture
def provider(settings, people):
    """The deployment names a provider, which vouches for Dora."""
    provider = Provider("dora@example.org")
    app = {"provider_id": "oidc", "name": "Example ID", "client_id": "traceml", "secret": "s"}
    settings.SIGN_ON_ELSEWHERE = [app | {"settings": {"server_url": provider.url}}]
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": settings.SIGN_ON_ELSEWHERE}
    }
    yield provider
    provider.stop()


def sent_to(client, process="login") -> dict:
    """What the provider is asked by the address that the browser is sent to."""
    page = Page(client.post(f"{START}?process={process}"))
    (address,) = [link for link in page.links() if link.startswith("https://login.example/authorize")]
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def come_back(client, process="login"):
    asked = sent_to(client, process)
    return client.get(BACK, {"code": "c", "state": asked["state"]})


def test_it_is_not_offered_where_no_provider_is_named(client, people):
    assert "Continue with Example ID" not in Page(client.get(LOGIN)).text
    assert client.post(START).status_code == 404


def test_it_is_offered_by_its_name(client, provider):
    assert "Continue with Example ID" in Page(client.get(LOGIN)).text


def test_the_browser_is_sent_there_with_proof_of_who_asked(client, provider):
    asked = sent_to(client)
    assert asked["client_id"] == "traceml"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"http://testserver{BACK}"


def test_a_get_alone_starts_nothing(client, provider):
    assert "login.example" not in client.get(START).content.decode()


def test_a_stranger_comes_in_where_signing_up_is_open(client, provider, settings):
    settings.TRACEML_SIGNUP = "open"
    assert come_back(client)["Location"] == "/"
    assert is_signed_in(client)
    assert User.objects.get(email="dora@example.org").first_name == "Dora"


@pytest.mark.parametrize("signup", ["closed", "invite"])
def test_a_stranger_stays_out_where_it_is_not(client, provider, settings, signup):
    settings.TRACEML_SIGNUP = signup
    come_back(client)
    assert not is_signed_in(client)
    assert not User.objects.filter(email="dora@example.org").exists()


@pytest.mark.parametrize("with_mail", [True, False])
@pytest.mark.parametrize("signup", ["closed", "invite", "open"])
def test_an_invited_stranger_comes_in_and_joins(provider, settings, signup, with_mail):
    settings.TRACEML_SIGNUP, settings.MAIL_IS_SET_UP = signup, with_mail
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory" if with_mail else "none"
    _, secret = Invitation.issue(Membership.objects.get(role="owner", team__slug="vision-lab"), "member")
    client = Client()
    assert client.get(f"/join/{secret}/")["Location"] == "/accounts/signup/?next=/join/"
    come_back(client)
    assert client.get("/", follow=True).redirect_chain[-1][0] == "/join/"
    client.post("/join/", {"answer": "accept"})
    assert Membership.objects.filter(user__email="dora@example.org", team__slug="vision-lab").exists()


def test_a_provider_can_not_take_over_an_account_by_its_address(client, provider, settings):
    settings.TRACEML_SIGNUP = "open"
    provider.person["email"] = "alice@example.org"
    come_back(client)
    assert not is_signed_in(client)
    assert not SocialAccount.objects.exists()


def test_whoever_has_an_account_connects_it_and_signs_in_by_it(client, provider):
    sign_in(client)
    show_once_more(client)
    come_back(client, "connect")
    assert SocialAccount.objects.get().user.email == "alice@example.org"
    other = Client()
    come_back(other)
    assert is_signed_in(other)


def test_an_answer_that_nobody_asked_for_signs_nobody_in(client, provider, settings):
    settings.TRACEML_SIGNUP = "open"
    sent_to(Client())
    client.get(BACK, {"code": "c", "state": "made-up"})
    assert not is_signed_in(client)
