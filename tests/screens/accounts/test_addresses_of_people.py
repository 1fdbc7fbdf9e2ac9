"""Without mail no address can be proven: none is added, none tells who has an account, and none signs anybody in."""

import pytest
from allauth.account.models import EmailAddress

from runs.models import User
from tests.screens.conftest import Reader
from tests.screens.html import Page
from tests.screens.signing_in import CountingHasher, hashes, is_signed_in, show_once_more, sign_in

EMAIL = "/accounts/email/"
FRESH = "fresh@example.org"


@pytest.fixture
def with_mail(settings):
    settings.MAIL_IS_SET_UP = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def strong(settings):
    settings.PASSWORD_HASHERS = [f"{CountingHasher.__module__}.{CountingHasher.__qualname__}"]


def add(reader, address: str) -> str:
    """What the page says to somebody who adds this address."""
    show_once_more(reader)
    answer = reader.post(EMAIL, {"email": address, "action_add": ""}, follow=True)
    return Page(answer).one("main").text.replace(address, "…")


def test_without_mail_the_page_shows_ones_own_address_and_no_form(alice):
    main = alice.read(EMAIL).one("main")
    assert "alice@example.org" in main.text
    assert main.all("form") == []


@pytest.mark.parametrize("action", ["action_add", "action_primary", "action_remove", "action_send"])
def test_without_mail_nothing_changes_by_it(alice, people, action):
    EmailAddress.objects.create(user=people.alice, email="alice@example.org", primary=True)
    show_once_more(alice)
    before = list(EmailAddress.objects.values_list())
    alice.post(EMAIL, {"email": "alice@example.org" if action != "action_add" else FRESH, action: ""})
    assert list(EmailAddress.objects.values_list()) == before


@pytest.mark.parametrize("taken", ["bob@example.org", "BOB@example.org", "charlie@example.org"])
def test_without_mail_a_taken_address_is_answered_like_a_new_one(alice, taken):
    assert add(alice, taken) == add(alice, FRESH)


def test_an_address_that_nobody_confirmed_signs_nobody_in(people, client):
    EmailAddress.objects.create(user=people.charlie, email=FRESH, verified=False)
    sign_in(client, FRESH)
    assert not is_signed_in(client)


def test_an_address_that_was_confirmed_signs_its_owner_in(people, client):
    EmailAddress.objects.create(user=people.charlie, email=FRESH, verified=True)
    sign_in(client, FRESH)
    assert is_signed_in(client)


def test_an_account_takes_nothing_by_adding_anothers_address(people, client):
    EmailAddress.objects.create(user=people.charlie, email="alice@example.org", verified=False)
    User.objects.filter(pk=people.alice.pk).update(password="!")
    sign_in(client, "alice@example.org")
    assert not is_signed_in(client)


@pytest.mark.parametrize("address", ["alice@example.org", "nobody@example.org", FRESH])
def test_a_login_takes_one_hash_however_many_accounts_added_the_address(people, strong, address):
    for number in range(5):
        person = User.objects.create_user(f"p{number}@example.org", "another password")
        EmailAddress.objects.create(user=person, email=address, verified=False)
    assert hashes(lambda: sign_in(Reader(), address, "a wrong password")) == 1
