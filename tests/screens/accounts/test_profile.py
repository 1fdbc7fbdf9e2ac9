"""The profile: name, time zone, theme, sessions, one's own data, and the end of an account."""

import json

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from runs.models import ApiToken, AuditEntry, Membership, Project, Run, Team, User
from runs.models.audit import Action
from tests.screens.html import Page
from tests.screens.signing_in import FRESH, is_signed_in, messages, show_once_more, sign_in, sign_up

PROFILE, SESSIONS, DELETE = "/settings/profile/", "/settings/sessions/", "/settings/profile/delete/"
FORM = {"first_name": "Alice", "last_name": "Liddell", "time_zone": "Europe/Vienna", "theme": "dark"}


def test_it_saves_name_time_zone_and_theme(alice, people):
    assert alice.post(PROFILE, FORM)["Location"] == PROFILE
    people.alice.refresh_from_db()
    kept = {field: getattr(people.alice, field) for field in FORM}
    assert kept == FORM


def test_times_are_shown_in_the_chosen_zone_from_then_on(alice, run):
    path = f"/runs/{run()}/"
    before = alice.get(path).content
    alice.post(PROFILE, FORM | {"time_zone": "Asia/Tokyo"})
    assert b"+09:00" in alice.get(path).content
    assert b"+09:00" not in before


def test_equivalences_are_switched_off_and_on_again(alice, people):
    for asked in ({}, {"shows_equivalences": "on"}):
        alice.post("/settings/profile/", FORM | asked)
        people.alice.refresh_from_db()
        assert people.alice.shows_equivalences is bool(asked)


def test_the_theme_comes_with_every_page_of_theirs_and_with_no_other(alice, bob):
    alice.post(PROFILE, FORM)
    assert alice.read("/").one("html").attributes["data-theme"] == "dark"
    assert "data-theme" not in bob.read("/").one("html").attributes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
        ("theme", "pink"),
        ("first_name", "a\u202eb"),
        ("first_name", "x" * 151),
        ("last_name", "nul\x00l"),
    ],
)
def test_what_can_not_be_is_refused_with_a_sentence_and_changes_nothing(alice, people, field, value):
    page = Page(alice.post(PROFILE, FORM | {field: value}))
    assert page.root.all("ul")
    assert any("errorlist" in each.attributes.get("class", "") for each in page.one("main").all("ul"))
    people.alice.refresh_from_db()
    assert (people.alice.last_name, people.alice.theme) == ("", "")


def test_nobody_becomes_staff_or_somebody_else_by_it(alice, people):
    alice.post(PROFILE, FORM | {"is_staff": "1", "email": "bob@example.org", "is_superuser": "1", "id": "2"})
    people.alice.refresh_from_db()
    assert (people.alice.is_staff, people.alice.is_superuser, people.alice.email) == (False, False, "alice@example.org")


def test_the_list_of_zones_has_the_worlds_and_none_of_old(alice):
    options = {option.attributes["value"] for option in alice.read(PROFILE).by_id("id_time_zone").all("option")}
    assert {"UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Asia/Kolkata"} <= options
    assert not options & {"US/Pacific", "Etc/GMT+5", "GB", "localtime", "posix/UTC"}


def test_the_switch_saves_the_theme_for_the_person(alice, people):
    assert alice.post("/settings/theme/", {"theme": "light"}).status_code == 204
    assert alice.post("/settings/theme/", {"theme": "pink"}).status_code == 400
    people.alice.refresh_from_db()
    assert people.alice.theme == "light"


def test_the_switch_needs_the_pages_own_token(people):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people.alice)
    assert browser.post("/settings/theme/", {"theme": "light"}).status_code == 403


# Sessions

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"


def browser_of(login="alice@example.org", agent=FIREFOX) -> Client:
    browser = Client(headers={"user-agent": agent})
    sign_in(browser, login)
    return browser


def test_the_sessions_of_all_ones_browsers_are_listed_and_of_no_one_else(people):
    here, _phone, _bob = browser_of(), browser_of(agent=SAFARI), browser_of("bob@example.org")
    page = Page(here.get(SESSIONS))
    assert page.column(0) == ["Safari on iPhone", "Firefox on Linux"]
    assert page.column(3) == ["End", "This browser"]


def buttons(page) -> list[str]:
    return [each.attributes["value"] for each in page.one("main").all("button") if "value" in each.attributes]


def test_one_session_can_be_ended(people):
    here, phone = browser_of(), browser_of(agent=SAFARI)
    one, _others = buttons(Page(here.get(SESSIONS)))
    here.post(SESSIONS, {"session": one})
    assert (is_signed_in(here), is_signed_in(phone)) == (True, False)


def test_all_others_can_be_ended_at_once(people):
    here, *others = [browser_of() for _ in range(3)]
    here.post(SESSIONS, {"session": "others"})
    assert [is_signed_in(each) for each in (here, *others)] == [True, False, False]
    assert len(Page(here.get(SESSIONS)).table()) == 1


def test_nobody_ends_another_persons_session(people):
    here, phone, charlie = browser_of(), browser_of(), browser_of("charlie@example.org")
    for session in [*buttons(Page(here.get(SESSIONS))), "1", "2", "", "nonsense"]:
        charlie.post(SESSIONS, {"session": session})
    assert is_signed_in(here)
    assert is_signed_in(phone)


# One's own data


def test_the_export_has_everything_about_oneself(people, wire):
    ApiToken.issue(people.project, "laptop", ["ingest"], created_by=people.alice)
    answer = browser_of().get("/settings/profile/export/")
    assert answer["Content-Disposition"] == 'attachment; filename="traceml-my-data.json"'
    mine = json.loads(answer.content)
    assert mine["account"]["email"] == "alice@example.org"
    assert [place["team__name"] for place in mine["memberships"]] == ["Vision lab"]
    assert [token["name"] for token in mine["tokens"]] == ["laptop"]
    assert [session["user_agent"] for session in mine["sessions"]] == [FIREFOX]


def test_the_export_has_no_secret_and_nothing_of_others(alice, people):
    token, plain_text = ApiToken.issue(people.project, "laptop", ["ingest"], created_by=people.alice)
    ApiToken.issue(people.project, "bobs", ["ingest"], created_by=people.bob)
    text = alice.get("/settings/profile/export/").content.decode()
    for absent in (plain_text, token.secret_hmac, people.alice.password, "bob@", "bobs", "charlie", "Secrets"):
        assert absent not in text


# The end of an account


@pytest.fixture
def leaving(people):
    """Signs a person in, at the point where the account can be deleted."""

    def make(login) -> Client:
        browser = browser_of(login)
        show_once_more(browser)
        return browser

    return make


def delete(browser, email):
    return browser.post(DELETE, {"email": email})


def test_deleting_asks_for_the_password_once_more(people):
    assert browser_of("bob@example.org").get(DELETE)["Location"].startswith("/accounts/reauthenticate/")


def test_a_member_leaves_and_nothing_of_the_others_goes(leaving, people, wire, run):
    run_id = run()
    token, _ = ApiToken.issue(people.project, "of Bob", ["ingest"], created_by=people.bob)
    bob = leaving("bob@example.org")
    page = Page(bob.get(DELETE))
    assert "Vision lab with all runs" in page.text
    assert delete(bob, "Bob@example.org")["Location"] == "/accounts/login/"
    assert "deleted" in messages(bob, "/accounts/login/")
    assert not User.objects.filter(email="bob@example.org").exists()
    assert Run.objects.filter(run_id=run_id).exists()
    assert not ApiToken.objects.filter(pk=token.pk).exists()
    assert Membership.objects.filter(team__slug="vision-lab").count() == 1
    entry = AuditEntry.objects.get(team__slug="vision-lab", action=Action.MEMBER_LEFT)
    assert (entry.actor, entry.subject) == (None, "bob@example.org (account deleted)")
    ended = AuditEntry.objects.get(team__slug="vision-lab", action=Action.TOKEN_REMOVED)
    assert f"{token.prefix} (of Bob) created by bob@example.org" in ended.subject


def test_a_mistyped_address_deletes_nothing(leaving, people):
    bob = leaving("bob@example.org")
    assert "Type bob@example.org to confirm" in Page(delete(bob, "alice@example.org")).text
    assert User.objects.filter(email="bob@example.org").exists()


def test_the_last_owner_of_a_team_with_others_hands_it_over_first(leaving, people):
    alice = leaving("alice@example.org")
    assert "Vision lab can go to Bob" in Page(alice.get(DELETE)).text
    assert "Vision lab can go to Bob" in Page(delete(alice, "alice@example.org")).text
    assert User.objects.filter(email="alice@example.org").exists()
    Membership.objects.filter(user=people.bob).update(role="owner")
    assert delete(alice, "alice@example.org").status_code == 302
    assert Team.objects.filter(slug="vision-lab").exists()


def test_a_team_with_nobody_else_is_named_and_goes_with_the_account(leaving, people, charlies_wire):
    charlies_wire.start()
    charlie = leaving("charlie@example.org")
    assert "Other lab , where you are the only member, with 1 project and 1 run." in Page(charlie.get(DELETE)).text
    delete(charlie, "charlie@example.org")
    assert list(Team.objects.values_list("slug", flat=True)) == ["vision-lab"]
    assert list(Project.objects.values_list("slug", flat=True)) == ["digits"]
    assert not Run.objects.exists()


def test_it_ends_every_session_of_the_account(leaving, people):
    phone = browser_of("bob@example.org")
    delete(leaving("bob@example.org"), "bob@example.org")
    assert not is_signed_in(phone)


def test_the_address_is_free_again_after(leaving, settings, people):
    settings.TRACEML_SIGNUP = "open"
    delete(leaving("bob@example.org"), "bob@example.org")
    sign_up(Client(), "bob@example.org")
    sign_in(browser := Client(), "bob@example.org", FRESH)
    assert is_signed_in(browser)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{{ 7|add:7 }}"])
def test_names_on_these_pages_are_text(leaving, people, name):
    Team.objects.filter(slug="vision-lab").update(name=name)
    User.objects.update(first_name=name)
    alice = leaving("alice@example.org")
    for path in (DELETE, PROFILE):
        page = Page(alice.get(path))
        assert not page.one("main").all("script") + page.one("main").all("img")
    assert name in Page(alice.get(DELETE)).text


def test_with_mail_an_added_address_counts_once_it_is_confirmed(leaving, settings, people, mailoutbox):
    alice = leaving("alice@example.org")
    EmailAddress.objects.create(user=people.alice, email="alice@example.org", primary=True, verified=True)
    settings.MAIL_IS_SET_UP = True
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    alice.post("/accounts/email/", {"action_add": "", "email": "alice@home.example"})
    assert [letter.to for letter in mailoutbox] == [["alice@home.example"]]
    alice.post("/accounts/email/", {"action_primary": "", "email": "alice@home.example"})
    people.alice.refresh_from_db()
    assert people.alice.email == "alice@example.org"
