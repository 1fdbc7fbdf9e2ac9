"""Promise PS8: every role at every door of a team, by every verb; Charlie finds nothing where Alice has something."""

from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import URLPattern

from runs.models import ApiToken, Badge, Invitation, Membership, OwnershipOffer, Role, Run, ShareLink, User
from runs.rights import RIGHTS, Right
from runs.urls import of_a_team
from tests import people as cast

pytestmark = pytest.mark.django_db

PAGE, WRITE = "page", "write"
#: Route of a team's settings → whether it shows or writes, and the right that it takes.
ROUTES = {
    "team": (PAGE, Right.SEE),
    "members": (PAGE, Right.SEE),
    "projects": (PAGE, Right.SEE),
    "project": (PAGE, Right.SEE),
    "tokens": (PAGE, Right.SEE),
    "shares": (PAGE, Right.SHARE),
    "audit": (PAGE, Right.READ_AUDIT),
    "trash": (PAGE, Right.CHANGE_RUNS),
    "trash_restore": (WRITE, Right.CHANGE_RUNS),
    "trash_remove": (WRITE, Right.MANAGE_PROJECTS),
    "audit_csv": (PAGE, Right.READ_AUDIT),
    "team_rename": (WRITE, Right.RENAME_TEAM),
    "team_leave": (WRITE, Right.LEAVE),
    "team_delete": (WRITE, Right.DELETE_TEAM),
    "ownership_offer": (WRITE, Right.OFFER_OWNERSHIP),
    "ownership_take": (WRITE, None),  # nobody, while an owner can act
    "ownership_answer": (WRITE, Right.OFFER_OWNERSHIP),  # of one's own offer: here the owner takes it back
    "member_role": (WRITE, Right.MANAGE_MEMBERS),
    "member_remove": (WRITE, Right.MANAGE_MEMBERS),
    "invite": (WRITE, Right.INVITE),
    "invitation_revoke": (WRITE, Right.INVITE),
    "project_new": (WRITE, Right.MAKE_PROJECTS),
    "project_rename": (WRITE, Right.MANAGE_PROJECTS),
    "project_retention": (WRITE, Right.MANAGE_PROJECTS),
    "project_delete": (WRITE, Right.MANAGE_PROJECTS),
    "token_new": (WRITE, Right.MAKE_TOKENS),
    "token_rotate": (WRITE, Right.MANAGE_TOKENS),
    "token_revoke": (WRITE, Right.MANAGE_TOKENS),
    "share_new": (WRITE, Right.SHARE),
    "share_revoke": (WRITE, Right.SHARE),
    "badge_new": (WRITE, Right.SHARE),
    "badge_revoke": (WRITE, Right.SHARE),
}
ASKED = {
    "team_rename": {"name": "New name"},
    "member_role": {"role": "viewer"},
    "invite": {"role": "viewer"},
    "project_new": {"name": "Second"},
    "project_rename": {"name": "New name"},
    "token_new": {"name": "laptop", "scopes": "ingest", "days": "30"},
    "token_rotate": {"hours": "1"},
    "project_retention": {"keep_series_days": "30"},
    "share_new": {"of": "project:digits", "days": "7"},
    "badge_new": {"of": "project:digits", "label": "emissions"},
}
ROLES = [*Role, "outsider", "stranger"]


@dataclass
class Team:
    """Alice's team with something behind every address, and one more person at its doors."""

    people: cast.People
    visitor: Client
    parts: dict

    def address(self, route: str, **changes) -> str:
        """Built by hand: what an outsider types needs no name of ours."""
        pattern = next(str(each.pattern) for each in of_a_team if each.name == route)
        parts = {"int:" + name: value for name, value in self.parts.items()} | {"slug:project": "digits"} | changes
        for part, value in parts.items():
            pattern = pattern.replace(f"<{part}>", str(value))
        return f"/settings/teams/vision-lab/{pattern}"

    def send(self, verb: str, route: str, **changes):
        data = ASKED.get(route, {}) | ({"project": self.people.project.pk} if route == "token_new" else {})
        data |= {"member": self.parts["member"]} if route == "ownership_offer" else {}
        if route in ("team_delete", "project_delete"):
            data = {"name": "Vision lab" if route == "team_delete" else "Digits"}
        return getattr(self.visitor, verb)(self.address(route, **changes), data)


@pytest.fixture
def team(people, request) -> Team:
    """The visitor has the role that the test asks for; Bob is who the addresses' member, token and offer are about."""
    role = request.getfixturevalue("role")
    lab = people.project.team
    dora = User.objects.create_user("dora@example.org", cast.PASSWORD)
    if role in set(Role):
        Membership.objects.create(team=lab, user=dora, role=role)
    alices = Membership.objects.get(team=lab, user=people.alice)
    bobs = Membership.objects.get(team=lab, user=people.bob)
    maker = Membership.objects.filter(team=lab, user=dora, role=Role.OWNER).first() or alices
    visitor = Client()
    if role == "outsider":
        visitor.force_login(people.charlie)
    elif role != "stranger":
        visitor.force_login(dora)
    parts = {
        "member": bobs.pk,
        "token": ApiToken.issue(people.project, "Bob's", ["ingest"], people.bob)[0].pk,
        "invitation": Invitation.issue(alices, Role.VIEWER)[0].pk,
        "offer": OwnershipOffer.make(maker, bobs, steps_back=False).pk,
        "share": ShareLink.make(people.project, 7, False, people.bob)[0].pk,
        "badge": Badge.make(people.project, "emissions", people.bob).pk,
    }
    return Team(people, visitor, parts)


def test_the_walk_knows_every_route_of_a_team():
    assert set(ROUTES) == {pattern.name for pattern in of_a_team if isinstance(pattern, URLPattern)}


def expected(role: str, verb: str, route: str) -> set[int]:
    """What this role gets: in, by a page or a redirect; 403; for outsiders 404; for strangers the login."""
    kind, right = ROUTES[route]
    if role == "stranger":
        return {302}
    if verb == "get" and kind == WRITE:
        return {404} if role == "outsider" else {302}  # to the page of the form, which has a door of its own
    if verb != {PAGE: "get", WRITE: "post"}[kind]:
        return {405}
    if role == "outsider":
        return {404}
    return {200, 302} if right and role in RIGHTS[right] else {403}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("role", ROLES)
def test_a_door_opens_to_the_roles_of_its_right(team, role, route):
    for verb in ("get", "put", "patch", "delete", "post"):
        answer = team.send(verb, route)
        assert answer.status_code in expected(role, verb, route), verb
        if role == "stranger":
            assert answer["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("route", [route for route, (kind, _) in ROUTES.items() if kind == WRITE])
@pytest.mark.parametrize("role", ["outsider"])
def test_what_an_outsider_gets_is_what_a_missing_team_gives(team, role, route):
    there = team.send("post", route)
    missing = team.visitor.post(team.address(route).replace("vision-lab", "no-such-team"))
    assert there.status_code == missing.status_code == 404
    assert without_ids(there) == without_ids(missing)


def without_ids(answer) -> str:
    return answer.content.decode().replace(answer["X-Request-ID"], "")


@pytest.mark.parametrize("role", [Role.OWNER])
@pytest.mark.parametrize("route", ["project", "project_rename", "project_delete"])
def test_an_owner_reaches_no_other_teams_project_by_the_own_teams_address(team, role, route):
    verb = "get" if route == "project" else "post"
    assert team.send(verb, route, **{"slug:project": "secrets"}).status_code == 404


@pytest.mark.parametrize("role", [Role.OWNER])
@pytest.mark.parametrize(
    ("route", "part"),
    [("token_rotate", "token"), ("token_revoke", "token"), ("member_role", "member"), ("member_remove", "member")],
)
def test_an_owner_reaches_no_other_teams_people_or_tokens_by_the_own_teams_address(team, role, route, part):
    charlies = {
        "token": ApiToken.issue(team.people.charlies_project, "x", ["read"], team.people.charlie)[0].pk,
        "member": Membership.objects.get(user=team.people.charlie).pk,
    }
    assert team.send("post", route, **{f"int:{part}": charlies[part]}).status_code == 404
    assert ApiToken.objects.usable().count() == 2


@pytest.fixture
def run_id(wire) -> str:
    return wire.whole_run(model="resnet-50")


READING = [
    "/runs/{run_id}/",
    "/models/digits/resnet-50/",
    "/start/digits/",
    "/start/digits/news",
    "/start/?project=digits",
]


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize("role", ROLES)
def test_every_member_sees_the_runs_and_models_and_nobody_else(run_id, team, role, path):
    wanted = {"outsider": 404, "stranger": 302}.get(role, 200)
    assert team.visitor.get(path.format(run_id=run_id)).status_code == wanted


@pytest.mark.parametrize("role", ROLES)
def test_a_run_is_deleted_by_those_who_may(run_id, team, role):
    may = dict.fromkeys(RIGHTS[Right.CHANGE_RUNS], 302) | {Role.VIEWER: 403, "outsider": 404, "stranger": 302}
    assert team.visitor.post(f"/runs/{run_id}/delete/").status_code == may[role]
    assert Run.objects.filter(project=team.people.project).exists() == (role not in RIGHTS[Right.CHANGE_RUNS])


@pytest.mark.parametrize("role", ROLES)
def test_a_token_is_made_on_the_start_page_by_those_who_may(team, role):
    may = dict.fromkeys(RIGHTS[Right.MAKE_TOKENS], 302) | {Role.VIEWER: 403, "outsider": 404, "stranger": 302}
    answer = team.visitor.post("/start/digits/token/", {"days": "30"})
    assert answer.status_code == may[role]
    assert ApiToken.objects.filter(name="Start page").exists() == (role in RIGHTS[Right.MAKE_TOKENS])


@pytest.mark.parametrize(
    "path", ["runs", "runs/{run_id}", "runs/{run_id}/series", "models", "models/resnet-50", "summary"]
)
@pytest.mark.parametrize("role", ROLES)
def test_no_login_opens_the_api(run_id, team, role, path):
    assert team.visitor.get(f"/api/v1/{path.format(run_id=run_id)}").status_code == 401


@pytest.mark.parametrize("path", ["runs/{run_id}", "runs/{run_id}/series", "models/resnet-50"])
def test_another_projects_token_finds_no_run_and_no_model(run_id, charlies_wire, path):
    assert charlies_wire.get(path.format(run_id=run_id)).status_code == 404


@pytest.mark.parametrize("path", ["runs", "models"])
def test_another_projects_token_lists_nothing(run_id, charlies_wire, path):
    assert charlies_wire.get(path).json()["results"] == []
