"""Signing in: by a form that needs no script, that gives nothing away and leads nowhere else."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.pages.html import Page
from tests.people import PASSWORD

LOGIN = "/accounts/login/"


def sign_in(client, login="alice@example.org", password=PASSWORD, **more):
    return client.post(LOGIN, {"login": login, "password": password} | more)


def errors(answer) -> str:
    return next(each.text for each in Page(answer).one("main").all("div") if each.attributes.get("role") == "alert")


def test_the_form_signs_a_person_in(client, people):
    assert sign_in(client)["Location"] == "/"
    assert client.get("/").status_code == 200


def test_a_page_that_asked_to_sign_in_is_where_one_comes_out(client, people):
    asked = client.get("/runs/?kind=training")["Location"]
    assert asked.startswith(LOGIN)
    answer = client.post(asked, {"login": "alice@example.org", "password": PASSWORD, "next": "/runs/?kind=training"})
    assert answer["Location"] == "/runs/?kind=training"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil"])
def test_it_leads_to_no_other_site(client, people, elsewhere):
    assert sign_in(client, next=elsewhere)["Location"] == "/"


def test_a_wrong_password_and_an_unknown_address_get_the_same_words(people):
    wrong = sign_in(Client(), password="wrong")
    unknown = sign_in(Client(), login="nobody@example.org")
    assert errors(wrong) == errors(unknown) != ""


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


def test_a_password_can_be_changed_and_the_old_one_is_no_good_after(client, people):
    sign_in(client)
    fresh = "a quite different phrase"
    client.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": fresh, "password2": fresh})
    assert Page(sign_in(Client())).one("h1").text == "Sign in"
    assert sign_in(Client(), password=fresh)["Location"] == "/"
