"""Teams: never without an owner, and one of their own for whoever comes alone."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from runs.models import ApiToken, Membership, OwnershipOffer, Project, Role, Team, User
from runs.models.team import LastOwner

pytestmark = pytest.mark.django_db


def place(person) -> Membership:
    return Membership.objects.get(user=person)


@pytest.fixture
def alices(people) -> Membership:
    return place(people.alice)


@pytest.fixture
def bobs(people) -> Membership:
    return place(people.bob)


def owners(team) -> set[str]:
    return set(team.membership_set.owners().values_list("user__first_name", flat=True))


def test_the_last_owner_can_not_leave(alices):
    with pytest.raises(LastOwner):
        alices.end()
    assert Membership.objects.filter(pk=alices.pk).exists()


def test_the_last_owner_can_not_step_down(alices):
    with pytest.raises(LastOwner):
        alices.give_role(Role.MEMBER, by=alices)
    assert owners(alices.team) == {"Alice"}


def test_one_of_two_owners_can_step_down_and_the_other_then_not(alices, bobs):
    Membership.objects.filter(pk=bobs.pk).update(role=Role.OWNER)
    alices.give_role(Role.ADMIN, by=alices)
    assert owners(alices.team) == {"Bob"}
    with pytest.raises(LastOwner):
        place(bobs.user).end()


def test_an_admin_changes_members_but_neither_owners_nor_admins(people, alices, bobs):
    dora = Membership.objects.create(team=alices.team, user=User.objects.create_user("dora@example.org"), role="admin")
    bobs.role = Role.ADMIN
    for other in (alices, dora):
        with pytest.raises(PermissionDenied):
            other.give_role(Role.VIEWER, by=bobs)
        with pytest.raises(PermissionDenied):
            other.remove(by=bobs)


@pytest.mark.parametrize("role", [Role.OWNER, "superuser", ""])
def test_nobody_is_given_ownership_or_a_role_that_there_is_not(alices, bobs, role):
    with pytest.raises(PermissionDenied):
        bobs.give_role(role, by=alices)


def test_an_accepted_offer_hands_the_team_over(alices, bobs):
    OwnershipOffer.make(alices, bobs, steps_back=True).accept()
    assert owners(alices.team) == {"Bob"}
    assert place(alices.user).role == Role.ADMIN


def test_an_offer_without_stepping_back_makes_a_second_owner(alices, bobs):
    OwnershipOffer.make(alices, bobs, steps_back=False).accept()
    assert owners(alices.team) == {"Alice", "Bob"}


def test_an_offer_is_closed_once_it_is_old_or_its_maker_owns_no_more(alices, bobs):
    offer = OwnershipOffer.make(alices, bobs, steps_back=True)
    assert list(OwnershipOffer.objects.open()) == [offer]
    OwnershipOffer.objects.update(created_at=timezone.now() - timedelta(days=7, seconds=1))
    assert list(OwnershipOffer.objects.open()) == []
    OwnershipOffer.make(alices, bobs, steps_back=True)
    Membership.objects.filter(pk=alices.pk).update(role=Role.ADMIN)
    assert list(OwnershipOffer.objects.open()) == []


def test_leaving_revokes_the_tokens_of_that_team_and_no_others(people, bobs):
    own = Team.found("Bob alone", people.bob)
    kept, _ = ApiToken.issue(Project.make(own, "p"), "kept", ["read"], people.bob)
    alices, _ = ApiToken.issue(people.project, "Alice's", ["read"], people.alice)
    ApiToken.issue(people.project, "Bob's", ["read"], people.bob)
    bobs.end()
    assert set(ApiToken.objects.usable()) == {kept, alices}


def test_becoming_a_viewer_revokes_the_tokens_that_a_viewer_could_not_make(people, alices, bobs):
    ApiToken.issue(people.project, "Bob's", ["ingest"], people.bob)
    bobs.give_role(Role.ADMIN, by=alices)
    assert ApiToken.objects.usable().count() == 1
    bobs.give_role(Role.VIEWER, by=alices)
    assert ApiToken.objects.usable().count() == 0


def test_whoever_comes_alone_gets_a_team_with_a_first_project(db):
    dora = User.objects.create_user("dora@example.org")
    team = Team.personal_for(dora)
    assert owners_of(team) == ["dora@example.org"]
    assert (team.name, team.project_set.get().name) == ("dora’s team", "First project")
    assert Team.personal_for(dora) == team


def owners_of(team) -> list[str]:
    return list(team.membership_set.owners().values_list("user__email", flat=True))


def test_teams_and_projects_of_the_same_name_have_addresses_of_their_own(people):
    teams = [Team.found("Lab", people.alice) for _ in range(2)]
    projects = [Project.make(team, "Digits") for team in teams]
    assert len({team.slug for team in teams}) == len({project.slug for project in projects}) == 2


@pytest.mark.parametrize("end", ["membership", "account"])
def test_however_a_persons_place_ended_the_tokens_ended_with_it(people, bobs, end):
    _, plain_text = ApiToken.issue(people.project, "Bob's", ["read"], people.bob)
    assert ApiToken.objects.authenticate(plain_text)
    (bobs if end == "membership" else people.bob).delete()
    assert ApiToken.objects.authenticate(plain_text) is None


def test_a_token_of_the_command_line_is_nobodys_and_stays(people):
    _, plain_text = ApiToken.issue(people.project, "cluster", ["read"])
    people.bob.delete()
    assert ApiToken.objects.authenticate(plain_text)
