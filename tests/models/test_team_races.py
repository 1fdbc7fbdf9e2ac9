"""What happens to a team at the same moment from several sides: one of them is first, and the rules hold."""

import threading

import pytest
from django.db import connection

from runs.models import Invitation, Membership, Project, Role, Team, User
from runs.models.team import LastOwner
from tests import people as cast

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls) -> list:
    """What each call returned or raised, all of them begun together."""
    outcomes, together = [], threading.Barrier(len(calls))

    def run(call):
        together.wait()
        try:
            outcomes.append(call())
        except Exception as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_two_first_requests_of_a_person_make_one_team():
    dora = User.objects.create_user("dora@example.org")
    assert len({team.pk for team in at_once(*[lambda: Team.personal_for(dora)] * 6)}) == 1
    assert Team.objects.count() == Project.objects.count() == Membership.objects.count() == 1


def test_of_two_owners_who_leave_one_stays():
    people = cast.settle()
    Membership.objects.filter(user=people.bob).update(role=Role.OWNER)
    places = Membership.objects.filter(team=people.project.team).select_related("team", "user")
    outcomes = at_once(*[place.end for place in places])
    assert sorted(map(type, outcomes), key=str) == sorted([type(None), LastOwner], key=str)
    assert places.owners().count() == 1


def test_of_many_who_hold_a_link_one_gets_in():
    people = cast.settle()
    invitation, _ = Invitation.issue(Membership.objects.get(user=people.alice), Role.VIEWER)
    crowd = [User.objects.create_user(f"{n}@example.org") for n in range(6)]
    outcomes = at_once(*[lambda each=each: Invitation.objects.get(pk=invitation.pk).accept(each) for each in crowd])
    assert sum(isinstance(outcome, Membership) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Invitation.DoesNotExist) for outcome in outcomes) == 5
    assert people.project.team.membership_set.count() == 3
