"""Whoever is in two teams looks at one of them, knows which, and may look at all."""

from urllib.parse import parse_qs

import pytest
from django.test import Client

from runs.models import ApiToken, Membership, Project, Run, SavedView, Team
from tests.screens.conftest import METERED
from tests.screens.overview.test_overview import figures
from tests.screens.run_list.test_runs import names
from tests.wire import Wire, sample

KWH = 3.6e6


@pytest.fixture
def two_teams(people, client, profile) -> dict[str, Project]:
    """Alice in two teams, each with a First project and a run: 1 kWh in Vision lab, 10 kWh in Own team, the later."""
    own = Team.found("Own team", people.alice)
    own.slug = "own-team"
    own.save()
    projects = {"vision-lab": people.project, own.slug: Project.make(own, "First project")}
    Project.objects.filter(pk=people.project.pk).update(name="First project")
    for kwh, (slug, project) in zip((1.0, 10.0), projects.items(), strict=True):
        wire = Wire(client, ApiToken.issue(project, slug, ["ingest", "read"])[1])
        wire.whole_run([sample("gpu-0", 3600, 3600, kwh * KWH)], [METERED], name=slug, model="bert")
    return projects


def landed(reader, path: str, **asked):
    """The page that an address leads to, and what it asks for in the end."""
    answer = reader.get(path, asked, follow=True)
    return answer.redirect_chain[-1][0] if answer.redirect_chain else "", answer


def title(answer) -> str:
    return answer.content.decode().split("<title>")[1].split("</title>")[0]


def test_the_overview_is_of_one_team_which_it_names_and_its_address_has(alice, two_teams):
    address, answer = landed(alice, "/")
    assert parse_qs(address.lstrip("/?")) == {"team": ["own-team"]}
    assert title(answer) == "Overview · Own team · TraceML"
    assert figures(alice.read("/", team="own-team"))[1] == pytest.approx(10.0)
    assert figures(alice.read("/", team="vision-lab"))[1] == pytest.approx(1.0)
    assert figures(alice.read("/", team="all"))[1] == pytest.approx(11.0)


@pytest.mark.parametrize("path", ["/", "/runs/", "/models/"])
def test_what_was_looked_at_last_is_looked_at_next_on_every_page(alice, two_teams, path):
    alice.read(path, team="vision-lab")
    for other in ("/", "/runs/", "/models/"):
        address, answer = landed(alice, other)
        assert "team=vision-lab" in address
        assert "Vision lab" in title(answer)
    alice.read(path, team="all")
    assert "team=all" in landed(alice, "/runs/")[0]


def test_a_page_keeps_what_else_its_address_asks_for(alice, two_teams):
    address, _ = landed(alice, "/runs/", kind="training", page="1", sort="-energy")
    assert parse_qs(address.lstrip("?")) == {
        "kind": ["training"], "page": ["1"], "sort": ["-energy"], "team": ["own-team"],
    }  # fmt: skip


def test_lists_files_and_open_lists_are_of_the_team(alice, two_teams):
    assert names(alice.read("/runs/", team="vision-lab")) == ["vision-lab"]
    assert sorted(names(alice.read("/runs/", team="all"))) == ["own-team", "vision-lab"]
    assert "own-team" not in alice.get("/runs/live", {"team": "vision-lab"}).content.decode()
    text = b"".join(alice.get("/runs/export.csv", {"team": "vision-lab"}).streaming_content).decode()
    assert "vision-lab" in text
    assert "own-team" not in text
    assert len(alice.read("/models/", team="vision-lab").table()) == 1
    assert len(alice.read("/models/", team="all").table()) == 2


def test_the_switch_leads_to_the_same_page_of_another_team_without_what_is_the_first_one_s(alice, two_teams):
    page = alice.read("/runs/", team="own-team", kind="training", model=f"{two_teams['own-team'].slug}/bert")
    (switch,) = (each for each in page.root.all("details") if each.attributes.get("class") == "menu teams")
    leads = {link.text: parse_qs(link.attributes["href"].lstrip("?")) for link in switch.all("a")}
    assert leads == {
        name: {"kind": ["training"], "team": [slug]}
        for name, slug in [("Own team", "own-team"), ("Vision lab", "vision-lab"), ("All my teams", "all")]
    }
    (current,) = (link.text for link in switch.all("a") if link.attributes.get("aria-current"))
    assert current == "Own team"
    on_a_run = alice.read(f"/runs/{Run.objects.get(name='own-team').run_id}/")
    assert "/?team=vision-lab" in on_a_run.links()


def test_two_first_projects_are_told_apart_where_both_are_offered(alice, two_teams):
    def offered(page, name):
        return [option.text for option in page.by_id(name).all("option")]

    both = ["Own team / First project", "Vision lab / First project"]
    for path in ("/", "/runs/"):
        assert offered(alice.read(path, team="all"), "project")[1:] == both
    assert offered(alice.read("/runs/", team="all"), "view-project")[1:] == [f"Project {name}" for name in both]
    page = alice.read("/", team="all")
    assert all(name in page.text for name in both)  # the models' lines
    series = page.data("trend-data")["series"]
    assert sorted(one["name"] for one in series) == [f"bert ({name})" for name in both]
    assert alice.read("/runs/", team="all", column="project", sort="name").column(1) == both
    assert "Vision lab / First project" in alice.read(f"/runs/{Run.objects.get(name='vision-lab').run_id}/").text


def test_a_colleague_who_opens_the_address_sees_the_same_figures(alice, bob, two_teams):
    hers, his = (figures(reader.read("/", team="vision-lab")) for reader in (alice, bob))
    assert hers == his
    assert bob.get("/", {"team": "own-team"}).status_code == 404


def test_who_is_in_one_team_has_no_switch_and_no_longer_address(bob, two_teams):
    page = bob.read("/")
    assert not [each for each in page.root.all("details") if each.attributes.get("class") == "menu teams"]
    assert "Overview · Vision lab · TraceML" in bob.get("/").content.decode()


@pytest.mark.parametrize("path", ["/", "/runs/", "/models/", "/runs/export.csv", "/hardware/", "/runs/live"])
@pytest.mark.parametrize("team", ["vision-lab", "no-such-team", "'; --"])
def test_another_team_is_like_one_that_never_was(charlie, two_teams, path, team):
    answer = charlie.get(path, {"team": team})
    assert answer.status_code == 404
    assert "Vision lab" not in answer.content.decode()


def test_whoever_left_the_team_that_was_looked_at_sees_the_other(alice, people, two_teams):
    alice.read("/", team="vision-lab")
    Membership.objects.filter(user=people.alice, team__slug="vision-lab").delete()
    assert figures(alice.read("/"))[1] == pytest.approx(10.0)


def test_a_form_and_a_saved_view_keep_the_team(alice, people, two_teams):
    page = alice.read("/runs/", team="vision-lab")
    hidden = {each.attributes.get("name"): each.attributes.get("value") for each in page.by_id("filters").all("input")}
    assert hidden["team"] == "vision-lab"
    alice.post("/runs/views/", {"name": "mine", "query": "kind=training&team=vision-lab"})
    assert "team=vision-lab" in SavedView.objects.get().query


def test_hardware_is_that_of_the_team_s_own_runs(alice, wire, people, two_teams):
    empty = Team.found("Empty team", people.alice)
    page = "/hardware/nvidia-a100-sxm4-40gb/"
    assert "11 kWh" in alice.read(page, team="all").text
    assert "10 kWh" in alice.read(page, team="own-team").text
    assert "None of your runs used this device" in alice.read(page, team=empty.slug).text


def test_a_token_s_api_knows_nothing_of_it(client, people, two_teams):
    wire = Wire(client, ApiToken.issue(people.project, "reader", ["read"])[1])
    assert [row["name"] for row in wire.get("runs", team="own-team").json()["results"]] == ["vision-lab"]


def test_all_my_teams_is_chosen_by_each_browser_for_itself(people, two_teams):
    one, other = Client(), Client()
    for browser in (one, other):
        browser.force_login(people.alice)
    one.get("/", {"team": "all"})
    assert "team=own-team" in landed(other, "/")[0]
    assert "team=all" in landed(one, "/")[0]
