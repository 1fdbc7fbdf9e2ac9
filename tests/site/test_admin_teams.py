"""What staff change of teams, projects and tokens: by the rules that hold for everybody, and told to the team."""

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client

from runs.models import ApiToken, AuditEntry, Device, Membership, Project, Team, User
from tests import people as cast


def staff_with(*permissions: str) -> Client:
    person = User.objects.create_user("staff@example.org", cast.PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(person)
    return browser


def told(team: Team) -> list[tuple[str, str]]:
    return list(AuditEntry.objects.filter(team=team).order_by("pk").values_list("action", "subject"))


def save(browser: Client, team: Team, *new: tuple[User, str], name: str = "", **roles: str):
    """Send a team's form: its members by address with another role, or `gone`; then new members."""
    places = list(team.membership_set.select_related("user").order_by("pk"))
    form = {"name": name or team.name, "slug": team.slug}
    form |= {"membership_set-TOTAL_FORMS": len(places) + len(new), "membership_set-INITIAL_FORMS": len(places)}
    for index, place in enumerate(places):
        role = roles.get(place.user.first_name.lower(), place.role)
        values = {
            "id": place.pk,
            "team": team.pk,
            "user": place.user_id,
            "role": place.role if role == "gone" else role,
        }
        form |= {f"membership_set-{index}-{field}": value for field, value in values.items()}
        form |= {f"membership_set-{index}-DELETE": "on"} if role == "gone" else {}
    for index, (user, role) in enumerate(new, len(places)):
        form |= {f"membership_set-{index}-user": user.pk, f"membership_set-{index}-role": role}
    return browser.post(f"/admin/runs/team/{team.pk}/change/", form)


@pytest.mark.parametrize("roles", [{"alice": "gone"}, {"alice": "viewer"}, {"alice": "gone", "bob": "admin"}])
def test_a_team_is_not_left_without_an_owner(people, admin_client, roles):
    team = people.project.team
    answer = save(admin_client, team, **roles)
    assert "A team needs an owner" in answer.content.decode()
    assert team.membership_set.owners().get().user == people.alice
    assert told(team) == []


def test_the_team_of_a_project_is_chosen_from_a_sorted_list_with_each_team_once(people, admin_client):
    """A list in no order may show a team on two of its pages, and another one on none."""
    Team.objects.bulk_create([Team(name=f"team {number:02}", slug=f"t-{number}") for number in reversed(range(50))])
    asked = {"app_label": "runs", "model_name": "project", "field_name": "team"}
    pages = [admin_client.get("/admin/autocomplete/", asked | {"page": page}).json()["results"] for page in (1, 2, 3)]
    names = [choice["text"] for page in pages for choice in page]
    assert names == list(Team.objects.filter(bin_of=None).order_by("name").values_list("name", flat=True))


def test_one_owner_follows_another_in_one_step(people, admin_client):
    team = people.project.team
    token = ApiToken.issue(people.project, "laptop", ["ingest"], people.alice)[0]
    assert save(admin_client, team, (people.charlie, "viewer"), alice="gone", bob="owner").status_code == 302
    assert list(team.membership_set.by_role().values_list("user__email", "role")) == [
        ("bob@example.org", "owner"),
        ("charlie@example.org", "viewer"),
    ]
    assert told(team) == [
        ("member joined", "charlie@example.org, viewer"),
        ("role changed", "bob@example.org, owner"),
        ("member removed", "alice@example.org, owner"),
    ]
    token.refresh_from_db()
    assert token.revoked_at


def test_who_becomes_a_viewer_loses_their_tokens(people, admin_client):
    token = ApiToken.issue(people.project, "laptop", ["ingest"], people.bob)[0]
    save(admin_client, people.project.team, bob="viewer")
    token.refresh_from_db()
    assert token.revoked_at


def test_a_place_is_not_turned_into_another_persons(people, admin_client):
    team, alices = people.project.team, Membership.objects.get(user=people.alice)
    form = {"name": team.name, "slug": team.slug, "membership_set-TOTAL_FORMS": 1, "membership_set-INITIAL_FORMS": 1}
    form |= {"membership_set-0-id": alices.pk, "membership_set-0-team": team.pk, "membership_set-0-role": "owner"}
    admin_client.post(f"/admin/runs/team/{team.pk}/change/", form | {"membership_set-0-user": people.charlie.pk})
    alices.refresh_from_db()
    assert alices.user == people.alice


def test_another_teams_place_is_not_changed_through_this_ones_page(people, admin_client):
    team, charlies = people.project.team, Membership.objects.get(user=people.charlie)
    form = {"name": team.name, "slug": team.slug, "membership_set-TOTAL_FORMS": 1, "membership_set-INITIAL_FORMS": 1}
    form |= {"membership_set-0-id": charlies.pk, "membership_set-0-team": team.pk, "membership_set-0-role": "viewer"}
    assert admin_client.post(f"/admin/runs/team/{team.pk}/change/", form).status_code < 500
    charlies.refresh_from_db()
    assert (charlies.role, charlies.team.slug) == ("owner", "other-lab")


def test_to_change_teams_is_not_to_change_who_belongs_to_them(people):
    browser, team = staff_with("change_team", "view_membership"), people.project.team
    assert save(browser, team, (people.charlie, "owner"), name="New name", bob="owner", alice="gone").status_code == 302
    assert set(team.membership_set.values_list("user__email", "role")) == {
        ("alice@example.org", "owner"),
        ("bob@example.org", "member"),
    }
    assert told(team) == [("team renamed", "name Vision lab → New name")]


def test_a_new_team_has_an_owner(people, admin_client):
    form = {"name": "New", "slug": "new", "membership_set-TOTAL_FORMS": 1, "membership_set-INITIAL_FORMS": 0}
    admin = {"membership_set-0-user": people.bob.pk, "membership_set-0-role": "admin"}
    for owned_by_nobody in ({"membership_set-TOTAL_FORMS": 0}, admin):
        answer = admin_client.post("/admin/runs/team/add/", form | owned_by_nobody)
        assert "A team needs an owner" in answer.content.decode()
    admin_client.post(
        "/admin/runs/team/add/", form | {"membership_set-0-user": people.bob.pk, "membership_set-0-role": "owner"}
    )
    assert told(Team.objects.get(slug="new")) == [("team created", "New"), ("member joined", "bob@example.org, owner")]


def test_a_project_stays_in_its_team_and_what_changes_of_it_is_told(people, admin_client):
    project, others = people.project, people.charlies_project.team
    form = {"name": "Numbers", "slug": "numbers", "keep_series_days": "30", "team": others.pk}
    assert admin_client.post(f"/admin/runs/project/{project.pk}/change/", form).status_code == 302
    project.refresh_from_db()
    assert (project.name, project.team.slug) == ("Numbers", "vision-lab")
    changes = "Numbers: name Digits → Numbers, slug digits → numbers, keep_series_days None → 30"
    assert told(project.team) == [("project changed", changes)]
    admin_client.post("/admin/runs/project/add/", {"name": "More", "slug": "more", "team": project.team.pk})
    admin_client.post(f"/admin/runs/project/{Project.objects.get(slug='more').pk}/delete/", {"post": "yes"})
    assert told(project.team)[1:] == [("project created", "More"), ("project deleted", "More")]


def test_a_deleted_team_stands_in_the_deployments_log(people, admin_client, wire):
    wire.whole_run()
    page = admin_client.get(f"/admin/runs/team/{people.project.team.pk}/delete/").content.decode()
    assert "Runs: 1" in page
    admin_client.post(f"/admin/runs/team/{people.project.team.pk}/delete/", {"post": "yes"})
    assert not Team.objects.filter(slug="vision-lab").exists()
    assert AuditEntry.objects.filter(team=None, action="team deleted", subject="Vision lab").exists()


def test_to_delete_a_team_takes_the_right_to_delete_what_is_in_it(people, wire):
    wire.whole_run()
    browser = staff_with("view_team", "delete_team")
    assert browser.post(f"/admin/runs/team/{people.project.team.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Team.objects.filter(slug="vision-lab").exists()


def test_a_token_is_revoked_by_who_may_and_changed_by_nobody(people, admin_client):
    token = ApiToken.issue(people.project, "laptop", ["ingest"], people.bob)[0]
    before = ApiToken.objects.filter(pk=token.pk).values().get()
    revoke = {"action": "revoke", "_selected_action": [token.pk]}
    assert staff_with("view_apitoken").post("/admin/runs/apitoken/", revoke).status_code == 403
    forged = {
        "project": people.charlies_project.pk,
        "runs_are_of": "ci",
        "scopes": '["read"]',
        "revoked_at_0": "2020-01-01",
    }
    assert admin_client.post(f"/admin/runs/apitoken/{token.pk}/change/", forged).status_code == 403
    assert ApiToken.objects.filter(pk=token.pk).values().get() == before
    admin_client.post("/admin/runs/apitoken/", revoke)
    assert told(people.project.team) == [("token revoked", str(token))]
    admin_client.post("/admin/runs/apitoken/", revoke)
    assert len(told(people.project.team)) == 1


def test_nothing_that_a_device_counted_is_edited_as_an_unknown_one(people, wire, admin_client):
    wire.whole_run()
    device, before = Device.objects.get(), Device.objects.values().get()
    forged = {"energy_kwh": "9", "name": "x", "project": people.charlies_project.pk, "kind": "cpu"}
    assert admin_client.post(f"/admin/runs/unknowndevice/{device.pk}/change/", forged).status_code == 403
    assert Device.objects.values().get() == before


def issued(capsys, team: str) -> str:
    call_command("issue_token", team=team, project="P")
    return ApiToken.objects.authenticate(capsys.readouterr().out.strip()).project.team.slug


def test_a_name_that_a_stranger_took_as_well_is_refused_and_an_id_or_slug_decides(people, capsys):
    strangers = Team.found("Vision lab", people.charlie)
    with pytest.raises(CommandError, match="vision-lab"):
        issued(capsys, "Vision lab")
    assert not ApiToken.objects.exists()
    assert issued(capsys, "vision-lab") == "vision-lab"
    assert issued(capsys, str(people.project.team.pk)) == "vision-lab"
    assert issued(capsys, strangers.slug) == strangers.slug


def test_a_name_made_of_anothers_slug_or_id_leads_to_the_other(people, capsys):
    Team.objects.create(name="vision-lab", slug="x")
    Team.objects.create(name=str(people.project.team.pk), slug="y")
    assert issued(capsys, "vision-lab") == "vision-lab"
    assert issued(capsys, str(people.project.team.pk)) == "vision-lab"


@pytest.mark.parametrize("name", ["9" * 40, "-1", "²", "0"])
def test_any_other_name_makes_a_team(db, capsys, name):
    assert issued(capsys, name)
    assert Team.objects.get().name == name
