"""Signing in: by a form that needs no script, that gives nothing away and leads nowhere else."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.people import PASSWORD
from tests.screens.html import Page
from tests.screens.signing_in import FRESH, LOGIN, errors, hashes, is_signed_in, sign_in

HASHER = "tests.screens.signing_in.CountingHasher"


@pytest.fixture
def locked(people):
    """Bob, whose account staff have locked."""
    people.bob.is_active = False
    people.bob.save()
    return "bob@example.org"


def test_the_form_signs_a_person_in(client, people):
    assert sign_in(client)["Location"] == "/"
    assert client.get("/").status_code == 200


def test_a_page_that_asked_to_sign_in_is_where_one_comes_out(client, people):
    asked = client.get("/runs/?kind=training")["Location"]
    assert asked.startswith(LOGIN)
    answer = client.post(asked, {"login": "alice@example.org", "password": PASSWORD, "next": "/runs/?kind=training"})
    assert answer["Location"] == "/runs/?kind=training"


ELSEWHERE = [
    "https://evil.example/",
    "//evil.example",
    "javascript:alert(1)",
    "\\\\evil",
    "http://localhost/",
    "http://127.0.0.1:9/",
    "http:///evil.example",
]


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_it_leads_to_no_other_site(client, people, elsewhere):
    assert sign_in(client, next=elsewhere)["Location"] == "/"


def test_a_wrong_password_an_unknown_address_and_a_locked_account_get_the_same_answer(people, locked):
    wrong = sign_in(Client(), password="wrong")
    unknown = sign_in(Client(), login="nobody@example.org")
    right_but_locked = sign_in(Client(), login=locked)
    assert errors(wrong) == errors(unknown) == errors(right_but_locked) != ""
    assert wrong.status_code == unknown.status_code == right_but_locked.status_code


def test_they_take_the_same_time_which_is_one_hash(settings, people, locked):
    settings.PASSWORD_HASHERS = [HASHER]
    took = [
        hashes(lambda: sign_in(Client(), password="wrong")),
        hashes(lambda: sign_in(Client(), login="nobody@example.org")),
        hashes(lambda: sign_in(Client(), login=locked)),
    ]
    assert took == [1, 1, 1]


def test_locking_an_account_ends_its_sessions(bob, people):
    assert is_signed_in(bob)
    people.bob.is_active = False
    people.bob.save()
    assert not is_signed_in(bob)


def test_a_session_gets_a_new_key_at_login(client, people):
    client.get(LOGIN)
    session = client.session
    session["before"] = True
    session.save()
    client.cookies["sessionid"] = before = session.session_key
    sign_in(client)
    assert client.session.session_key not in (before, None)


def test_the_cookies_are_kept_from_scripts_and_other_sites(client, people):
    sign_in(client)
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a_login_without_the_forms_own_token_is_refused(people):
    answer = sign_in(Client(enforce_csrf_checks=True))
    assert answer.status_code == 403


def lock_out(login="alice@example.org", path=LOGIN, **headers) -> list:
    return [
        Client().post(path, {"login": login, "password": f"wrong {n}"}, headers=headers, follow=False) for n in range(6)
    ]


def test_after_five_wrong_tries_the_next_is_refused_with_a_time_to_wait(people):
    *first, sixth = lock_out()
    assert {answer.status_code for answer in first} == {200}
    assert sixth.status_code == 429
    assert int(sixth["Retry-After"]) >= 60
    assert b"Too many attempts" in sixth.content


def test_a_throttled_login_is_refused_before_hashing_even_with_the_right_password(settings, people):
    lock_out()
    settings.PASSWORD_HASHERS = [HASHER]
    assert hashes(lambda: sign_in(Client())) == 0
    assert sign_in(Client()).status_code == 429


def test_an_unknown_address_is_throttled_like_a_known_one(people):
    known, unknown = lock_out(), lock_out("nobody@example.org")
    assert [answer.status_code for answer in known][:4] == [answer.status_code for answer in unknown][:4]
    assert unknown[-1].status_code == known[-1].status_code == 429


def test_another_host_name_or_port_gives_no_new_tries(people):
    for port in range(5):
        Client().post(LOGIN, {"login": "alice@example.org", "password": "no"}, headers={"host": f"localhost:{port}"})
    assert sign_in(Client(), password="no").status_code == 429


def test_the_admin_has_the_same_login_and_the_same_throttle(people):
    asked = Client().post("/admin/login/", {"username": "alice@example.org", "password": PASSWORD})
    assert asked.status_code == 302
    assert asked["Location"].startswith(LOGIN)
    lock_out()
    there = Client().post(asked["Location"], {"login": "alice@example.org", "password": PASSWORD, "next": "/admin/"})
    assert there.status_code == 429


def test_the_admins_own_login_form_hashes_nothing_and_signs_nobody_in(settings, client, people):
    settings.PASSWORD_HASHERS = [HASHER]
    form = {"username": "alice@example.org", "password": PASSWORD}
    assert hashes(lambda: client.post("/admin/login/", form)) == 0
    assert not is_signed_in(client)


def test_the_admin_is_closed_to_people_who_are_no_staff(alice):
    assert alice.get("/admin/", follow=True).status_code == 403


def test_what_was_typed_comes_back_escaped(client, people):
    answer = sign_in(client, login='"><script>alert(1)</script>@example.org')
    assert "alert(1)" not in "".join(map(str, Page(answer).one("main").all("script")))


def test_signing_out_takes_a_post(client, people):
    sign_in(client)
    client.get(reverse("account_logout"))
    assert client.get("/").status_code == 200
    client.post(reverse("account_logout"))
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("name", ["account_change_password", "account_email", "account_logout"])
def test_the_account_pages_have_the_portals_frame(alice, name):
    page = alice.read(reverse(name))
    assert "TraceML" in page.one("header").text
    assert page.one("h1").text


def change_password(client) -> None:
    form = {"oldpassword": PASSWORD, "password1": FRESH, "password2": FRESH}
    assert client.post(reverse("account_change_password"), form).status_code == 302


def test_a_password_can_be_changed_and_the_old_one_is_no_good_after(client, people):
    sign_in(client)
    change_password(client)
    assert Page(sign_in(Client())).one("h1").text == "Sign in"
    assert sign_in(Client(), password=FRESH)["Location"] == "/"


def test_a_changed_password_ends_all_other_sessions(client, people):
    elsewhere = Client()
    sign_in(client)
    sign_in(elsewhere)
    assert is_signed_in(elsewhere)
    change_password(client)
    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)
