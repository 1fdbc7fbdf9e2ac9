"""Promise PS26: how much a token, an address and a person may ask for, and what whoever asks for more hears."""

import uuid

import pytest
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext

from runs import limits
from runs.jobs import housekeeping
from runs.models import ApiToken, Badge, Remembered, ShareLink, Team
from tests import people as cast
from tests.people import PASSWORD
from tests.screens.html import Page
from tests.screens.signing_in import LOGIN, RESET, code_now, secret_of, show_once_more, sign_in
from tests.wire import Wire, batch, header, sample

BEHIND_A_PROXY = 1


@pytest.fixture(autouse=True)
def nothing_was_asked_before():
    limits._counts.clear()


@pytest.fixture
def few(settings) -> dict[str, int]:
    """So many a minute that a test can ask for more; small, so that each one counts."""
    settings.TRACEML_LIMITS = dict.fromkeys(settings.TRACEML_LIMITS, 5)
    return settings.TRACEML_LIMITS


def statuses(ask, times: int) -> list[int]:
    return [ask().status_code for _ in range(times)]


def assert_told_to_wait(answer) -> None:
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


# Tokens


def test_a_token_that_reads_too_much_is_told_to_wait_in_the_words_of_the_api(wire, few):
    assert statuses(lambda: wire.get("runs"), 5) == [200] * 5
    answer = wire.get("runs")
    assert_told_to_wait(answer)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "too-many-requests"
    assert answer.json()["detail"] == "Too many requests with this token. Wait 12 seconds, then try again."


def test_another_token_and_uploads_with_the_same_are_no_part_of_that(wire, people, client, few):
    statuses(lambda: wire.get("runs"), 6)
    assert Wire(client, cast.token(people.project)).get("runs").status_code == 200
    wire.start()


def test_an_upload_that_has_to_wait_stored_nothing_and_is_taken_later(wire, people, settings):
    settings.TRACEML_LIMITS = {"uploads": 1}
    run_id = wire.start()
    assert_told_to_wait(wire.send(run_id, "b-1", batch([sample("gpu-0", 1, 1)])))
    Remembered.objects.all().delete()
    assert wire.send(run_id, "b-1", batch([sample("gpu-0", 1, 1)])).status_code == 201


def test_what_was_used_comes_back_with_time(wire, few, monkeypatch):
    statuses(lambda: wire.get("runs"), 6)
    now = limits.time.time()
    monkeypatch.setattr(limits.time, "time", lambda: now + 13)
    assert statuses(lambda: wire.get("runs"), 2) == [200, 429]


def test_a_token_with_the_wrong_scope_and_one_that_has_ended_count_too(people, client, few):
    reader = Wire(client, cast.token(people.project, "read"))
    assert statuses(lambda: reader.put(f"runs/{uuid.uuid4()}", header()), 6) == [403] * 5 + [429]
    ended = Wire(client, cast.token(people.project))
    ApiToken.objects.order_by("-pk")[0].revoke()
    assert statuses(lambda: ended.get("runs"), 6) == [401] * 5 + [429]


def test_what_the_portal_lets_through_is_far_more_than_agents_send():
    from traceml_site.settings import TRACEML_LIMITS

    assert TRACEML_LIMITS["uploads"] >= 5000


def test_an_upload_reads_and_writes_no_more_for_it(wire, settings):
    """A process lets a share through on its own account: who sends little costs nothing."""
    run_id = wire.start()
    wire.send(run_id, "b-0", batch([sample("gpu-0", 1, 1)]))

    def queries(number: int) -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert wire.send(run_id, f"b-{number}", batch([sample("gpu-0", 1 + number, 1)])).status_code == 201
        return len(seen)

    without = queries(1)
    settings.TRACEML_LIMITS = {"uploads": 6000, "reads": 480}
    assert [queries(n) for n in range(2, 7)] == [without] * 5
    assert statuses(lambda: wire.get("runs"), 10) == [200] * 10
    assert not Remembered.objects.exists()


def test_a_process_asks_the_shared_row_before_it_lets_much_through(wire, settings):
    """What others have used keeps this one from more than its own share."""
    settings.TRACEML_LIMITS = {"reads": 480}
    key = limits.READS._key(ApiToken.objects.get().pk)
    assert limits._take_of_row(key, 480, 480, 0.125) == 0
    answers = statuses(lambda: wire.get("runs"), 40)
    assert 480 // limits.OWN_SHARE <= answers.count(200) + 1 < 20
    assert answers[20:] == [429] * 20


# Addresses


def wrong(n: int = 0) -> str:
    return f"tml_{n:012d}_{'x' * 43}"


def ask_with(token: str, **meta):
    return Client().get("/api/v1/runs", headers={"Authorization": f"Bearer {token}"}, **meta)


def test_guesses_of_tokens_end_and_the_right_one_passes_from_the_same_address(people):
    token = cast.token(people.project)
    answers = [ask_with(wrong(n)) for n in range(100)]
    assert [answer.status_code for answer in answers[:60]] == [401] * 60
    assert [answer.status_code for answer in answers[60:]] == [429] * 40
    assert_told_to_wait(answers[-1])
    assert ask_with(token).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "tml_", "tml_é", "tml_" + "a" * 5000, "\x00", "eyJ0eXAi.e30.x"])
def test_whatever_is_no_token_is_a_guess_too(db, token):
    assert statuses(lambda: ask_with(token), 70)[-1] in (401, 429)
    if token:
        assert statuses(lambda: ask_with(token), 1) == [429]


def test_a_known_prefix_with_a_wrong_secret_is_a_guess(people):
    lookup = cast.token(people.project).split("_")[1]
    assert statuses(lambda: ask_with(f"tml_{lookup}_{'x' * 43}"), 61)[-1] == 429


def test_agents_whose_project_was_deleted_hear_that_and_not_to_wait(people):
    token = cast.token(people.project)
    assert ask_with(token).status_code == 200
    ApiToken.objects.all().delete()
    assert statuses(lambda: ask_with(token), 70) == [401] * 70


def test_an_address_that_a_client_claims_is_not_believed(db):
    for n in range(60):
        ask_with(wrong(n), REMOTE_ADDR="203.0.113.5", HTTP_X_FORWARDED_FOR=f"198.51.100.{n}")
    assert ask_with(wrong(), REMOTE_ADDR="203.0.113.5", HTTP_X_FORWARDED_FOR="198.51.100.99").status_code == 429
    assert ask_with(wrong(), REMOTE_ADDR="203.0.113.6").status_code == 401


def test_behind_a_proxy_it_is_the_one_that_the_proxy_wrote(db, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = BEHIND_A_PROXY
    for n in range(60):
        ask_with(wrong(n), REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=f"198.51.100.{n}, 203.0.113.5")
    assert ask_with(wrong(), HTTP_X_FORWARDED_FOR="1.2.3.4, 203.0.113.5").status_code == 429
    assert ask_with(wrong(), HTTP_X_FORWARDED_FOR="203.0.113.5, 203.0.113.6").status_code == 401


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:3::9", True),  # a site has as many as it likes
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.5", "::ffff:203.0.113.6", False),  # IPv4 on a socket of IPv6
        ("::ffff:203.0.113.5", "203.0.113.5", True),
    ],
)
def test_an_address_of_ipv6_counts_by_its_site(db, first, second, same):
    for n in range(60):
        ask_with(wrong(n), REMOTE_ADDR=first)
    assert (ask_with(wrong(), REMOTE_ADDR=second).status_code == 429) is same
    for n in range(30):
        Client().post(LOGIN, {"login": f"{n}@example.org", "password": "no"}, REMOTE_ADDR=first)
    again = Client().post(LOGIN, {"login": "alice@example.org", "password": "no"}, REMOTE_ADDR=second)
    assert (again.status_code == 429) is same


@pytest.mark.parametrize("place", ["/s/{}/", "/badge/{}.svg", "/join/{}/"])
def test_guesses_of_links_end(db, place):
    answers = [Client().get(place.format(f"guess-{n}")) for n in range(60)]
    assert [answer.status_code for answer in answers] == [404] * 30 + [429] * 30
    assert_told_to_wait(answers[-1])
    assert "Too many wrong links from this address. Wait" in answers[-1].content.decode()


def test_a_right_link_and_a_right_badge_open_wherever_others_guess(people, client):
    secret = ShareLink.make(people.project, 30, False, people.alice)[1]
    badge = Badge.make(people.project, "CO2e", people.alice)
    statuses(lambda: client.get("/s/guess/"), 40)
    assert client.get(f"/s/{secret}/").status_code == 200
    assert client.get(f"/badge/{badge.key}.svg").status_code == 200


def test_a_shared_page_and_a_badge_are_not_loaded_without_end(people, few):
    secret = ShareLink.make(people.project, 30, False, people.alice)[1]
    other = ShareLink.make(people.project, 30, False, people.alice)[1]
    badge = Badge.make(people.project, "CO2e", people.alice)
    assert statuses(lambda: Client().get(f"/s/{secret}/"), 6) == [200] * 5 + [429]
    assert statuses(lambda: Client().get(f"/badge/{badge.key}.svg"), 6) == [200] * 5 + [429]
    assert Client().get(f"/s/{other}/").status_code == 200
    assert Client().get(f"/s/{secret}/", REMOTE_ADDR="203.0.113.7").status_code == 200


# People


def test_a_person_who_loads_pages_without_end_is_told_to_wait_in_a_sentence(people, few):
    alice, bob = Client(), Client()
    alice.force_login(people.alice)
    bob.force_login(people.bob)
    assert statuses(lambda: alice.get("/methodology/"), 6) == [200] * 5 + [429]
    answer = alice.get("/methodology/")
    assert_told_to_wait(answer)
    assert "Too many pages at once. Wait 12 seconds, then try again." in answer.content.decode()
    assert bob.get("/methodology/").status_code == 200


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("searches", "/runs/?q=loss"),
        ("searches", "/hardware/?q=a100"),
        ("exports", "/runs/export.csv"),
        ("exports", "/report.csv?period=2026-11"),
        ("exports", "/settings/teams/vision-lab/audit.csv"),
    ],
)
def test_searches_and_files_have_limits_of_their_own(people, settings, name, path):
    settings.TRACEML_LIMITS = {name: 2}
    alice = Client()
    alice.force_login(people.alice)
    answers = statuses(lambda: alice.get(path), 3)
    assert 429 not in answers[:2]
    assert answers[2] == 429
    assert alice.get("/runs/").status_code == 200


# Throttles that are kept


def lock_out(login="alice@example.org", **meta) -> None:
    for n in range(6):
        Client().post(LOGIN, {"login": login, "password": f"wrong {n}"}, **meta)


def test_a_lock_out_stays_whatever_else_is_asked(people, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = BEHIND_A_PROXY
    lock_out(HTTP_X_FORWARDED_FOR="203.0.113.1")
    for n in range(342):
        Client().post(RESET, {"email": f"{n}@example.org"}, HTTP_X_FORWARDED_FOR=f"198.51.100.{n % 18}")
    for n in range(100):
        sign_in(Client(HTTP_X_FORWARDED_FOR=f"198.51.{n}.1"), f"{n}@example.org", "wrong")
    housekeeping.clean("remembered")
    assert sign_in(Client(HTTP_X_FORWARDED_FOR="192.0.2.1")).status_code == 429


def test_no_success_of_ones_own_gives_an_address_new_tries(client, people):
    """allauth forgets what the address has tried where somebody passes a second factor."""
    sign_in(client)
    show_once_more(client)
    secret = secret_of(Page(client.get("/accounts/2fa/totp/activate/")))
    client.post("/accounts/2fa/totp/activate/", {"code": code_now(secret)})
    cache.clear()
    for n in range(30):
        sign_in(Client(), f"{n}@example.org", "wrong")
    assert sign_in(Client(), "bob@example.org", "wrong").status_code == 429
    other = Client(REMOTE_ADDR="203.0.113.9")  # the address that is out of tries can't even try
    assert sign_in(other).status_code == 302
    other.post("/accounts/2fa/authenticate/", {"code": code_now(secret)}, REMOTE_ADDR="127.0.0.1")
    assert sign_in(Client(), "bob@example.org", "wrong").status_code == 429


def test_right_passwords_use_up_no_tries(people, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login": None}
    for _ in range(35):
        assert sign_in(Client()).status_code == 302
    assert sign_in(Client(), "bob@example.org", "wrong").status_code == 200


def test_codes_of_a_second_factor_stay_throttled_whatever_else_is_asked(client, people):
    sign_in(client)
    show_once_more(client)
    secret = secret_of(Page(client.get("/accounts/2fa/totp/activate/")))
    client.post("/accounts/2fa/totp/activate/", {"code": code_now(secret)})
    browser = Client()
    sign_in(browser)
    wrong_code = f"{(int(code_now(secret)) + 1) % 1_000_000:06}"
    tries = [browser.post("/accounts/2fa/authenticate/", {"code": wrong_code}) for _ in range(6)]
    assert [answer.status_code for answer in tries] == [200] * 5 + [429]
    for n in range(400):
        cache.set(f"something else {n}", 1)
    another = Client()
    assert sign_in(another).status_code == 302
    assert another.post("/accounts/2fa/authenticate/", {"code": wrong_code}).status_code == 429


def test_a_code_that_was_used_stays_used(client, people):
    cache.add("used", True, 30)
    for n in range(400):
        cache.set(f"something else {n}", 1)
    assert not cache.add("used", True, 30)


def test_what_is_over_is_forgotten_and_nothing_else(db):
    cache.set("over", 1, -1)
    cache.set("lasts", 1, 60)
    cache.set("for ever", 1, None)
    assert housekeeping.clean("remembered") == 1
    assert [cache.get("over"), cache.get("lasts"), cache.get("for ever")] == [None, 1, 1]


def test_a_password_is_changed_in_the_admin_by_the_page_that_is_throttled(people):
    people.alice.is_staff = people.alice.is_superuser = True
    people.alice.save()
    alice = Client()
    alice.force_login(people.alice)
    answer = alice.post("/admin/password_change/", {"old_password": "guess", "new_password1": "x"})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/change/")
    form = {"oldpassword": "guess", "password1": PASSWORD, "password2": PASSWORD}
    assert statuses(lambda: alice.post("/accounts/password/change/", form), 6) == [200] * 5 + [429]


# Mail to others


@pytest.fixture
def with_mail(settings):
    settings.MAIL_IS_SET_UP = True


def invite(client, team: str, email: str = ""):
    with TestCase.captureOnCommitCallbacks(execute=True):  # tests never store what they change
        return client.post(f"/settings/teams/{team}/invitations/", {"role": "member", "email": email})


def test_new_teams_give_no_new_invitations(people, with_mail):
    """Nor does deleting them, which takes their invitations along."""
    alice = Client()
    alice.force_login(people.alice)
    made = 0
    for n in range(6):
        team = Team.found(f"Team {n}", people.alice)
        answers = [invite(alice, team.slug, f"{n}-{m}@example.net") for m in range(10)]
        made += sum(answer.status_code == 302 for answer in answers)
        team.delete()
    assert made == len(mail.outbox) == 50
    assert_told_to_wait(answers[-1])
    assert "Too many invitations from you in a day. Wait 29 minutes" in answers[-1].content.decode()


def test_nobody_is_written_to_by_everybody(people, with_mail):
    for n in range(8):
        inviter = cast.User.objects.create_user(f"{n}@example.org")
        client = Client()
        client.force_login(inviter)
        answer = invite(client, Team.found(f"Team {n}", inviter).slug, "Victim@example.net")
    assert_told_to_wait(answer)
    assert len(mail.outbox) == 5


def test_a_link_to_copy_writes_to_nobody(people):
    alice = Client()
    alice.force_login(people.alice)
    assert statuses(lambda: invite(alice, "vision-lab"), 8) == [302] * 8


def test_resets_and_sign_ups_fill_nobodys_mailbox_and_say_nothing_of_it(people, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = BEHIND_A_PROXY
    settings.ACCOUNT_RATE_LIMITS = {}
    answers = {
        Client().post(RESET, {"email": "alice@example.org"}, HTTP_X_FORWARDED_FOR=f"198.51.100.{n}").status_code
        for n in range(30)
    }
    assert len(mail.outbox) <= 20
    assert answers <= {302, 429}


@pytest.mark.parametrize("name", ["Win 1,000,000 € now: http://evil.example", "x" * 200, "Re: your invoice"])
def test_a_teams_name_is_quoted_and_not_the_subject(people, with_mail, name):
    team = Team.found(name, people.alice)
    alice = Client()
    alice.force_login(people.alice)
    invite(alice, team.slug, "somebody@example.net")
    (letter,) = mail.outbox
    assert letter.subject == "Invitation to a team on TraceML"
    assert f"“{name[:79]}" in letter.body
    assert len(max(letter.body.splitlines(), key=len)) < 300
