"""Signing up: by whom the deployment lets in, and without a word about who has an account."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.utils import timezone

from runs.models import Invitation, Membership, User
from tests.screens.html import Page
from tests.screens.signing_in import FRESH, SIGNUP, hashes, is_signed_in, messages, only_link, sign_in, sign_up

TAKEN, NEW = "alice@example.org", "dora@example.org"


@pytest.fixture
def open_to_all(settings, people):
    settings.TRACEML_SIGNUP = "open"


@pytest.fixture
def with_mail(settings):
    settings.MAIL_IS_SET_UP = True
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


def heading(answer) -> str:
    return Page(answer).one("h1").text


def test_it_is_closed_unless_the_deployment_opens_it(client, people):
    assert heading(client.get(SIGNUP)) == "Sign-up is closed"
    sign_up(client, NEW)
    assert not User.objects.filter(email=NEW).exists()


def invited() -> Client:
    """A browser that opened an invitation's link."""
    _, secret = Invitation.issue(Membership.objects.get(role="owner", team__slug="vision-lab"), "member")
    client = Client()
    assert client.get(f"/join/{secret}/").status_code == 302
    return client


@pytest.mark.parametrize("setting", ["closed", "invite"])
def test_an_invitation_opens_the_door_for_the_browser_that_came_with_it_alone(settings, people, setting):
    settings.TRACEML_SIGNUP = setting
    assert heading(Client().get(SIGNUP)) == "Sign-up is closed"
    sign_up(Client(), "eve@example.org")
    sign_up(invited(), NEW)
    assert list(User.objects.filter(email__in=["eve@example.org", NEW]).values_list("email", flat=True)) == [NEW]


@pytest.mark.parametrize("setting", ["closed", "invite", "open"])
def test_an_invitation_outlives_signing_up_and_signing_in(settings, people, setting):
    settings.TRACEML_SIGNUP = setting
    client = invited()
    sign_up(client, NEW)
    sign_in(client, NEW, FRESH)
    assert is_signed_in(client)
    assert "Vision lab" in client.get("/join/").content.decode()


@pytest.mark.parametrize("setting", ["closed", "invite"])
def test_with_mail_an_invited_person_confirms_the_address_and_then_joins(settings, people, with_mail, setting):
    settings.TRACEML_SIGNUP = setting
    client = invited()
    sign_up(client, NEW)
    client.post(only_link())
    sign_in(client, NEW, FRESH)
    assert client.get("/", follow=True).redirect_chain[-1][0] == "/join/"
    client.post("/join/", {"answer": "accept"})
    assert Membership.objects.filter(user__email=NEW, team__slug="vision-lab").exists()


def withdrawn():
    Invitation.objects.update(revoked_at=timezone.now())


def used_up():
    Invitation.objects.update(accepted_at=timezone.now())


def too_old():
    Invitation.objects.update(expires_at=timezone.now())


def without_its_inviter():
    Membership.objects.filter(role="owner").update(role="viewer")


@pytest.mark.parametrize("end", [withdrawn, used_up, too_old, without_its_inviter])
def test_the_door_closes_with_the_invitation(people, end):
    client = invited()
    assert heading(client.get(SIGNUP)) == "Create an account"
    end()
    assert heading(client.get(SIGNUP)) == "Sign-up is closed"
    sign_up(client, NEW)
    assert not User.objects.filter(email=NEW).exists()


def test_without_mail_one_signs_up_and_then_signs_in(client, open_to_all):
    answer = sign_up(client, "Dora@Example.ORG")
    assert answer["Location"] == "/accounts/login/"
    assert "You can now sign in" in messages(client, "/accounts/login/")
    assert sign_in(client, NEW, FRESH)["Location"] == "/"


def test_the_page_that_sent_one_to_sign_up_is_where_one_comes_out(client, open_to_all):
    assert sign_up(client, NEW, next="/join/")["Location"] == "/accounts/login/?next=%2Fjoin%2F"
    assert sign_up(client, "eve@example.org", next="https://evil.example/")["Location"] == "/accounts/login/"


def told(client, email) -> tuple:
    """All that a stranger sees of a sign-up."""
    answer = sign_up(client, email)
    after = client.get(answer["Location"])
    page = Page(after).text.replace(email, "…")
    return answer.status_code, answer["Location"], after.status_code, page, sorted(client.cookies)


def test_without_mail_a_taken_address_is_answered_like_a_new_one(open_to_all):
    assert told(Client(), TAKEN) == told(Client(), NEW)
    assert not is_signed_in(Client())


def test_with_mail_a_taken_address_is_answered_like_a_new_one(open_to_all, with_mail):
    assert told(Client(), TAKEN) == told(Client(), NEW)
    assert [letter.to for letter in mail.outbox] == [[TAKEN], [NEW]]


@pytest.mark.parametrize("mail_or_not", [True, False])
def test_a_taken_address_takes_the_time_of_a_new_one(settings, open_to_all, mail_or_not, request):
    if mail_or_not:
        request.getfixturevalue("with_mail")
    settings.PASSWORD_HASHERS = ["tests.screens.signing_in.CountingHasher"]
    taken, new = hashes(lambda: sign_up(Client(), TAKEN)), hashes(lambda: sign_up(Client(), NEW))
    assert taken == new == 1


def test_a_taken_address_keeps_its_password(open_to_all):
    sign_up(Client(), TAKEN)
    assert sign_in(Client(), TAKEN)["Location"] == "/"
    assert sign_in(Client(), TAKEN, FRESH).status_code == 200


def test_the_owner_of_a_taken_address_is_told_by_mail(open_to_all, with_mail):
    sign_up(Client(), TAKEN)
    assert "tried to create an account" in str(mail.outbox[0].body)


def test_with_mail_an_account_opens_once_its_address_is_confirmed(client, open_to_all, with_mail):
    sign_up(client, NEW)
    sign_in(client, NEW, FRESH)
    assert not is_signed_in(client)
    link = only_link()
    assert heading(client.get(link)) == "Confirm your address"
    client.post(link)
    assert EmailAddress.objects.get(email=NEW).verified
    sign_in(client, NEW, FRESH)
    assert is_signed_in(client)


def test_a_weak_password_is_refused_with_a_sentence(client, open_to_all):
    answer = sign_up(client, NEW, "short")
    assert "at least 10 characters" in Page(answer).text
    assert not User.objects.filter(email=NEW).exists()


@pytest.mark.parametrize("email", ["", "nobody", "a@b\x00.org", "a@b\n.org", "a" * 300 + "@example.org"])
def test_what_is_no_address_is_refused_with_a_sentence(client, open_to_all, email):
    answer = sign_up(client, email)
    assert answer.status_code == 200
    assert User.objects.count() == 3


def test_signing_up_can_not_make_one_staff(client, open_to_all):
    sign_up(client, NEW, is_staff="1", is_superuser="1", theme="dark")
    user = User.objects.get(email=NEW)
    assert (user.is_staff, user.is_superuser, user.theme) == (False, False, "")
