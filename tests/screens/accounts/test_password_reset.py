"""A forgotten password: the same answer for any address, one link, one hour, one use."""

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from tests.screens.html import Page
from tests.screens.signing_in import FRESH, RESET, is_signed_in, only_link, sign_in


def ask(email="alice@example.org", **headers):
    return Client().post(RESET, {"email": email}, headers=headers)


def told(email) -> tuple:
    answer = ask(email)
    return answer.status_code, answer["Location"], sorted(answer.cookies), answer.content


def use(link, password=FRESH):
    """Open the link in a browser of its own and choose a password."""
    client = Client()
    opened = client.get(link)
    if opened.status_code == 302:
        return client.post(opened["Location"], {"password1": password, "password2": password})
    return opened


def test_a_known_and_an_unknown_address_get_the_same_answer(people):
    assert told("alice@example.org") == told("nobody@example.org")


def test_both_take_a_mail_and_so_the_same_time(people):
    for email in ("alice@example.org", "nobody@example.org"):
        ask(email)
    assert [letter.to for letter in mail.outbox] == [["alice@example.org"], ["nobody@example.org"]]


def test_a_locked_account_gets_no_link(people):
    people.alice.is_active = False
    people.alice.save()
    ask()
    assert "/accounts/password/reset/key/" not in str(mail.outbox[0].body)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9999", "localhost:80"])
def test_the_link_leads_to_the_portals_own_address_whatever_the_host_header_says(settings, people, host):
    settings.TRACEML_BASE_URL = "https://traceml.example"
    assert ask(host=host).status_code == 302
    (letter,) = mail.outbox
    assert only_link().startswith("https://traceml.example/accounts/password/reset/key/")
    assert host not in str(letter.body) + letter.subject


def test_a_host_that_is_not_the_portals_is_refused_and_sends_nothing(people):
    assert ask(host="evil.example").status_code == 400
    assert ask(**{"X-Forwarded-Host": "evil.example"}).status_code == 302
    assert [letter for letter in mail.outbox if "evil" in str(letter.body)] == []


def test_the_link_changes_the_password_once(people):
    ask()
    link = only_link()
    assert use(link).status_code == 302
    assert sign_in(Client(), password=FRESH)["Location"] == "/"
    assert Page(use(link, "yet another phrase")).one("h1").text == "This link is no longer valid"
    assert sign_in(Client(), password=FRESH)["Location"] == "/"


def test_a_new_password_by_the_link_ends_all_sessions(client, people):
    sign_in(client)
    ask()
    use(only_link())
    assert not is_signed_in(client)


def test_the_link_is_good_for_an_hour(people, monkeypatch):
    ask()
    link = only_link()
    from django.contrib.auth.tokens import PasswordResetTokenGenerator

    later = (timezone.now() + timedelta(minutes=61)).replace(tzinfo=None)
    monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda self: later)
    assert Page(use(link)).one("h1").text == "This link is no longer valid"


def test_the_links_secret_leaves_the_address_before_the_page_is_shown(client, people):
    ask()
    opened = client.get(only_link())
    assert opened["Location"].endswith("-set-password/")


def test_asking_again_and_again_is_refused_with_a_time_to_wait(people):
    answers = [ask() for _ in range(6)]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) >= 60


def test_without_mail_the_page_says_whom_to_ask(client, db):
    assert "Ask the portal administrator" in Page(client.get(RESET)).text


def test_with_mail_it_asks_for_the_address_alone(client, db, settings):
    settings.MAIL_IS_SET_UP = True
    assert "portal administrator" not in Page(client.get(RESET)).text
