"""Who ran it: on the run's page, in lists, searches and files; and whose the runs of a token are."""

import csv
import io

import pytest
from django.core.management import call_command

from runs.models import ApiToken, DailyUsage, Run
from tests.screens.overview.test_overview import table
from tests.screens.run_list.test_runs import names
from tests.wire import Wire

TOKENS = "/settings/teams/vision-lab/tokens/"


@pytest.fixture
def sent(people, client, profile) -> dict[str, str]:
    """A run each of Alice, Bob, the team, CI and nobody, by who they are of."""

    def send(name: str, by=None, of: str = "maker") -> str:
        issued = ApiToken.issue(people.project, name, ["ingest"], by, runs_are_of=of)
        return Wire(client, issued[1]).whole_run(name=name)

    return {
        "alice": send("by-alice", people.alice),
        "bob": send("by-bob", people.bob),
        "team": send("by-team", people.bob, "team"),
        "ci": send("by-ci", people.bob, "ci"),
        "nobody": send("by-nobody"),
    }


WORDS = {"alice": "Alice", "bob": "Bob", "team": "The team", "ci": "CI", "nobody": "No member"}


@pytest.mark.parametrize("who", WORDS)
def test_the_run_s_page_says_who_ran_it(alice, sent, who):
    assert f"run by {WORDS[who]}" in alice.read(f"/runs/{sent[who]}/").text


def test_a_column_a_filter_and_a_file_say_it_too(alice, people, sent):
    page = alice.read("/runs/", column="member", sort="name")
    assert page.column(1) == ["Alice", "Bob", "CI", "No member", "The team"]
    offered = {option.text: option.attributes["value"] for option in page.by_id("member").all("option")}
    assert names(alice.read("/runs/", member=offered["Bob"])) == ["by-bob"]
    assert names(alice.read("/runs/", member=offered["CI"])) == ["by-ci"]
    assert names(alice.read("/runs/", member=offered["The team"])) == ["by-team"]
    assert names(alice.read("/runs/", member=offered["No member"])) == ["by-nobody"]
    text = b"".join(alice.get("/runs/export.csv?sort=name").streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["run_by"] for row in rows] == ["Alice", "Bob", "CI", "No member", "The team"]
    assert {row["team"] for row in rows} == {"Vision lab"}


@pytest.mark.parametrize(("typed", "found"), [("bob@example", ["by-bob"]), ("ALICE@", ["by-alice"]), ("charlie", [])])
def test_a_search_finds_who_ran_it_by_name_or_address(alice, sent, typed, found):
    assert names(alice.read("/runs/", q=typed)) == found


def test_a_search_for_a_member_finds_nothing_of_a_team_that_the_reader_is_not_in(charlie, sent, people):
    assert names(charlie.read("/runs/", q="bob@example")) == []
    assert names(charlie.read("/runs/", member=str(people.bob.pk))) == []


def test_the_overview_tells_person_team_ci_and_nobody_apart_and_explains_them(alice, people, sent):
    rows = {row[0]: row for row in table(alice.read("/"), "by-member")}
    assert {"Alice", "Bob"} < set(rows)
    assert any(name.startswith("No member runs of tokens created on the command line") for name in rows)
    assert any(name.startswith("CI runs of tokens that count for CI") for name in rows)
    assert len(rows) == 5
    links = alice.read("/").links()
    for asked in (f"?member={people.bob.pk}", "?member=ci", "?member=team", "?member=0"):
        assert asked in links
        assert alice.read(f"/{asked}").one("dl").all("div")[3].figures == [1.0]


def test_runs_are_grouped_by_who_ran_them(alice, sent):
    found = {row[0]: row[1] for row in alice.read("/runs/", group="member").table()}
    assert found == {"Alice": "1", "Bob": "1", "The team": "1", "CI": "1", "No member": "1"}


def test_the_maker_of_a_token_says_whose_its_runs_are_and_rotation_keeps_it(bob, people, client):
    form = {"project": people.project.pk, "name": "nightly", "scopes": ["ingest"], "runs_are_of": "ci", "days": "30"}
    assert "tml_" in bob.post(f"{TOKENS}new/", form, follow=True).content.decode()
    token = ApiToken.objects.get()
    assert "runs count for CI" in bob.read(TOKENS).text
    bob.post(f"{TOKENS}{token.pk}/rotate/", {"hours": "1"})
    assert set(ApiToken.objects.values_list("runs_are_of", flat=True)) == {"ci"}


def test_without_a_choice_a_token_s_runs_are_its_maker_s(bob, people, client):
    form = {"project": people.project.pk, "name": "mine", "scopes": ["ingest"], "days": "30"}
    bob.post(f"{TOKENS}new/", form)
    assert ApiToken.objects.get().member_id == people.bob.pk
    answer = bob.post(f"{TOKENS}new/", form | {"runs_are_of": "charlie"})
    assert ApiToken.objects.count() == 1
    assert "Select a valid choice" in answer.content.decode()


def test_a_token_of_the_command_line_may_count_for_ci(people, capsys, client):
    call_command("issue_token", "--team=Vision lab", "--project=Digits", "--runs-are-of=ci")
    Wire(client, capsys.readouterr().out.strip()).whole_run()
    assert Run.objects.get().member_id == Run.OF_CI
    assert set(DailyUsage.objects.values_list("member_id", flat=True)) == {Run.OF_CI}


def test_who_left_is_named_no_more(alice, people, sent):
    people.bob.delete()
    assert "run by A former member" in alice.read(f"/runs/{sent['bob']}/").text
    assert "Bob" not in alice.read("/runs/", column="member").text
