"""Addresses that only forms are sent to: whoever comes there by a GET, as after signing in, finds what to do.

And who reloads the page after a form was sent sends nothing again.
"""

import uuid
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from runs.models import ApiToken, Badge, Invitation, Membership, OwnershipOffer, ShareLink
from tests.people import PASSWORD
from tests.screens.conftest import Reader
from tests.screens.html import Page
from tests.wire import Wire, sample

LAB = "/settings/teams/vision-lab/"


def addresses(patterns=None, before="/") -> Iterator[str]:
    """Every address of the portal as it is written; those of regular expressions left out."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            yield from addresses(each.url_patterns, before + str(each.pattern))
        elif isinstance(each, URLPattern) and "(?P" not in before + str(each.pattern):
            yield before + str(each.pattern)


@pytest.fixture
def parts(people, wire) -> dict:
    """Something behind every part of an address."""
    run_id = wire.whole_run([sample("gpu-0", 60, 30, None)])
    alices = Membership.objects.get(user=people.alice)
    bobs = Membership.objects.get(user=people.bob)
    return {
        "slug:team": "vision-lab",
        "slug:project": "digits",
        "uuid:run_id": run_id,
        "int:member": bobs.pk,
        "int:token": ApiToken.issue(people.project, "Bob's", ["ingest"], people.bob)[0].pk,
        "int:invitation": Invitation.issue(alices, "viewer")[0].pk,
        "int:offer": OwnershipOffer.make(alices, bobs, steps_back=False).pk,
        "int:share": ShareLink.make(people.project, 7, False, people.bob)[0].pk,
        "int:badge": Badge.make(people.project, "emissions", people.bob).pk,
        "slug:key": "no-such-key",
        "slug:secret": "no-such-secret",
    }


def filled(pattern: str, parts: dict) -> str:
    for part, value in parts.items():
        pattern = pattern.replace(f"<{part}>", str(value))
    while "<" in pattern:
        before, _, rest = pattern.partition("<")
        part, _, after = rest.partition(">")
        value = {"int": "1", "path": "1", "uuid": str(uuid.uuid4())}.get(part.partition(":")[0], "x")
        pattern = before + value + after
    return pattern.replace("$", "").replace("^", "")


def test_no_address_answers_with_an_empty_page(alice, people, parts):
    people.alice.is_staff = people.alice.is_superuser = True
    people.alice.save()
    walked = [filled(pattern, parts) for pattern in addresses()]
    assert len(walked) > 150
    for address in walked:
        for who in (alice, Client()):
            answer = who.get(address, follow=True)
            assert b"".join(answer) if answer.streaming else answer.content, address


def test_every_form_of_a_team_leads_to_a_page_that_a_reader_can_go_on_from(alice, parts):
    for pattern in addresses():
        address = filled(pattern, parts)
        if address.startswith(LAB) and alice.put(address)["Allow"] == "POST":
            page = alice.get(address, follow=True)
            assert page.status_code == 200
            assert page.redirect_chain[-1][0].startswith(LAB)
            assert "Nothing was changed" in Page(page).text, address


@pytest.mark.parametrize(
    ("form", "page"),
    [
        ("tokens/new/", "tokens/"),
        ("tokens/1/rotate/", "tokens/"),
        ("shares/new/", "shares/"),
        ("badges/new/", "shares/"),
        ("members/1/role/", "members/"),
        ("invitations/", "members/"),
        ("projects/digits/rename/", "projects/digits/"),
        ("leave/", ""),
    ],
)
def test_whose_session_ended_before_the_form_was_sent_comes_to_its_page_after_signing_in(people, form, page):
    visitor = Client()
    login = visitor.post(LAB + form, {"name": "laptop"})["Location"]
    back = visitor.post(login, {"login": "alice@example.org", "password": PASSWORD})["Location"]
    assert visitor.get(back)["Location"] == LAB + page


def test_what_the_library_takes_by_form_alone_says_so(client, admin_client):
    answer = admin_client.get("/admin/logout/")
    assert answer.status_code == 405
    assert "only accepts forms" in answer.content.decode()


SECRETS = [
    ("invitations/", {"role": "viewer"}, Invitation),
    ("tokens/new/", {"name": "laptop", "scopes": "ingest"}, ApiToken),
    ("shares/new/", {"of": "project:digits", "days": "7"}, ShareLink),
]


@pytest.mark.parametrize(("form", "data", "table"), SECRETS)
def test_what_is_shown_once_is_shown_by_a_page_that_may_be_reloaded(alice, people, form, data, table):
    sent = alice.post(LAB + form, data | {"project": people.project.pk})
    page = sent["Location"]
    assert sent.status_code == 302
    assert 'class="once"' in alice.get(page).content.decode()
    assert 'class="once"' not in alice.get(page).content.decode()
    assert table.objects.count() == 1


def test_a_secret_opens_for_nobody_else(alice, bob, people):
    sent = alice.post(f"{LAB}tokens/new/", {"name": "laptop", "scopes": "ingest", "project": people.project.pk})
    cookie = sent.cookies["once"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert "tml_" not in cookie.value
    bob.cookies["once"] = cookie.value
    assert 'class="once"' not in bob.get(sent["Location"]).content.decode()


@pytest.mark.parametrize("cookie", ["", "nonsense", "gAAAAA", "\u00e4"])
def test_a_made_up_cookie_shows_nothing(alice, cookie):
    alice.cookies["once"] = cookie
    assert alice.get(f"{LAB}tokens/").status_code == 200


def test_the_token_of_the_first_steps_is_shown_once_too(alice: Reader, client):
    sent = alice.post("/start/digits/token/", {"days": "90"})
    assert sent["Location"] == "/start/?project=digits"
    text = alice.read(sent["Location"]).text
    token = next(word for word in text.split("=") if word.startswith("tml_")).split()[0]
    assert Wire(client, token).put(f"runs/{uuid.uuid4()}", {}).status_code == 422
    assert token not in alice.read(sent["Location"]).text
    assert alice.get("/start/digits/token/")["Location"] == "/start/?project=digits"
