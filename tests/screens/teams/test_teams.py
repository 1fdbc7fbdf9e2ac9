"""Teams and projects: made, renamed, switched, left and deleted."""

import re

import pytest

from runs.ingest.removal import FACTS
from runs.models import ApiToken, AuditEntry, Membership, Project, Role, Run, Team, User
from tests.screens.conftest import Reader
from tests.screens.html import Page
from tests.screens.test_hostile_names import NAMES

LAB = "/settings/teams/vision-lab/"


def test_settings_lead_to_the_first_team(alice):
    assert alice.get("/settings/")["Location"] == LAB


@pytest.mark.parametrize("path", ["/", "/start/", "/settings/"])
def test_whoever_comes_alone_gets_a_team_and_a_project(db, path):
    dora = User.objects.create_user("dora@example.org")
    reader = Reader()
    reader.force_login(dora)
    reader.get(path, follow=True)
    assert Membership.objects.get(user=dora).role == Role.OWNER
    assert Project.objects.for_user(dora).get().name == "First project"
    assert "First project" in reader.read("/start/").text


def test_a_new_team_is_its_makers(alice, people):
    answer = alice.post("/settings/new-team/", {"name": "Speech lab"})
    team = Team.objects.get(name="Speech lab")
    assert answer["Location"] == f"/settings/teams/{team.slug}/projects/"
    assert Membership.objects.get(team=team).user == people.alice
    links = alice.read(f"/settings/teams/{team.slug}/").links()
    assert LAB in links  # to switch back


def test_a_team_is_renamed_and_keeps_its_address(alice):
    answer = alice.post(f"{LAB}rename/", {"name": "  Vision & language  "}, follow=True)
    assert Page(answer).one("h1").text == "Vision & language"
    assert Team.objects.get(slug="vision-lab").name == "Vision & language"


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "x" * 201, "\u202eevil"])
@pytest.mark.parametrize("path", ["rename/", "new-project/", "projects/digits/rename/"])
def test_a_bad_name_is_refused_with_a_sentence(alice, path, name):
    answer = alice.post(LAB + path, {"name": name})
    assert any("errorlist" in each.attributes.get("class", "") for each in Page(answer).one("main").all("ul"))
    assert Team.objects.get(slug="vision-lab").name == "Vision lab"
    assert Project.objects.filter(team__slug="vision-lab").get().name == "Digits"


def test_bob_leaves_and_sees_nothing_more(bob, people):
    bob.post(f"{LAB}leave/")
    assert bob.get(LAB).status_code == 404
    assert not Membership.objects.filter(user=people.bob).exists()


def test_the_last_owner_stays_and_is_told_why(alice):
    assert "A team needs an owner" in Page(alice.post(f"{LAB}leave/", follow=True)).text
    assert alice.get(LAB).status_code == 200


@pytest.mark.parametrize("typed", ["", "vision lab", "Vision"])
def test_a_team_is_not_deleted_by_a_wrong_name(alice, typed):
    assert alice.post(f"{LAB}delete/", {"name": typed}).status_code == 200
    assert Team.objects.filter(slug="vision-lab").exists()


def rows(project) -> int:
    return sum(table.objects.filter(project=project).count() for table in FACTS)


def test_a_team_goes_with_everything_in_it_and_nothing_else(alice, people, run, charlies_wire):
    run()
    charlies_wire.whole_run()
    kept = rows(people.charlies_project)
    assert min(table.objects.filter(project=people.project).count() for table in (Run, *FACTS[-3:])) > 0
    assert alice.post(f"{LAB}delete/", {"name": "Vision lab"})["Location"] == "/"
    assert rows(people.project) == 0
    assert not Team.objects.filter(slug="vision-lab").exists()
    assert rows(people.charlies_project) == kept > 0
    assert AuditEntry.objects.get(action="team deleted").subject == "Vision lab"


def test_a_project_goes_with_its_runs_and_its_tokens_end(alice, people, wire, run):
    run()
    alice.post(f"{LAB}projects/digits/delete/", {"name": "Digits"})
    assert not Run.objects.for_user(people.alice).exists()
    assert wire.get("runs").status_code == 401
    assert Team.objects.filter(slug="vision-lab").exists()


def test_a_project_is_not_deleted_by_a_wrong_name(alice):
    alice.post(f"{LAB}projects/digits/delete/", {"name": "digits"})
    assert Project.objects.filter(slug="digits").exists()


def test_a_project_is_made_and_found(bob):
    bob.post(f"{LAB}new-project/", {"name": "Letters"})
    assert [name.split()[0] for name in bob.read(f"{LAB}projects/").column()] == ["Digits", "Letters"]


@pytest.mark.parametrize("path", ["new-project/", "projects/second/rename/"])
def test_a_team_has_a_projects_name_once(alice, people, path):
    Project.objects.create(team=people.project.team, name="Second", slug="second")
    assert "The team already has a project with this name." in Page(alice.post(LAB + path, {"name": "Digits"})).text


def test_another_teams_project_name_is_free(alice):
    alice.post(f"{LAB}new-project/", {"name": "Secrets"})
    assert Project.objects.filter(name="Secrets").count() == 2


def test_only_what_the_form_asks_for_is_applied(alice, people):
    alice.post(f"{LAB}projects/digits/rename/", {"name": "New", "slug": "taken", "team": "2", "id": "99"})
    assert Project.objects.filter(pk=people.project.pk).values_list("name", "slug", "team__slug").get() == (
        "New",
        "digits",
        "vision-lab",
    )


@pytest.mark.parametrize("path", ["", "members/", "projects/", "projects/digits/", "tokens/"])
def test_people_are_led_to_the_other_pages_of_the_settings(bob, path):
    links = bob.read(LAB + path).links()
    assert {LAB, f"{LAB}members/", f"{LAB}projects/", f"{LAB}tokens/"} <= set(links)


@pytest.mark.parametrize("path", ["", "members/", "projects/", "projects/digits/", "tokens/", "/start/"])
def test_a_page_has_an_id_once(alice, people, path):
    ApiToken.issue(people.project, "x", ["read"])
    html = alice.get(path if path.startswith("/") else LAB + path).content.decode()
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) > 1


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_adds_no_element_to_any_page_of_the_settings_and_is_shown_as_text(alice, people, name):
    paths = [
        LAB,
        f"{LAB}members/",
        f"{LAB}projects/",
        f"{LAB}projects/digits/",
        f"{LAB}tokens/",
        "/start/",
        "/start/digits/",
    ]
    plain = {path: alice.read(path).tags for path in paths}
    Team.objects.filter(slug="vision-lab").update(name=name)
    Project.objects.filter(slug="digits").update(name=name)
    named = {path: alice.read(path) for path in paths}
    assert {path: page.tags for path, page in named.items()} == plain
    assert all(" ".join(name.split()) in page.text for page in named.values())
