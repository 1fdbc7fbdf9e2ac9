"""The audit log keeps who, what and when, and of the address no more than the network."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from runs.models import AuditEntry
from runs.models.audit import Action, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_an_address_is_shortened_to_its_network(address, network):
    assert network_of(address) == network


@pytest.fixture
def request_of_alice(people):
    request = RequestFactory(REMOTE_ADDR="192.0.2.77").get("/")
    request.user = people.alice
    return request


def test_an_entry_says_who_did_what_and_from_where(people, request_of_alice):
    team = people.project.team
    AuditEntry.note(request_of_alice, team, Action.TOKEN_ISSUED, "laptop")
    entry = AuditEntry.objects.for_team(team).get()
    assert (entry.actor, entry.action, entry.subject) == (people.alice, "token issued", "laptop")
    assert entry.address == "192.0.2.0/24"


def test_a_command_has_no_actor_and_no_address(people):
    entry = AuditEntry.note(None, people.project.team, Action.TOKEN_ISSUED, "x" * 999)
    assert (entry.actor, entry.address, len(entry.subject)) == (None, "", 300)


def test_a_stranger_is_no_actor(people):
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert AuditEntry.note(request, people.project.team, Action.MEMBER_JOINED, "").actor is None


def test_the_deployments_changes_are_for_every_team_but_a_teams_own_for_itself(people, request_of_alice):
    team, other = people.project.team, people.charlies_project.team
    AuditEntry.note(request_of_alice, None, Action.FACTOR_CHANGED, "0.5 kg/kWh")
    AuditEntry.note(request_of_alice, team, Action.RUN_DELETED, "a run")
    assert [entry.action for entry in AuditEntry.objects.for_team(team)] == ["run deleted", "emission factor changed"]
    assert [entry.action for entry in AuditEntry.objects.for_team(other)] == ["emission factor changed"]


def test_an_account_that_goes_leaves_no_name_behind(people, request_of_alice):
    AuditEntry.note(request_of_alice, people.project.team, Action.RUN_DELETED, "a run")
    people.alice.delete()
    assert AuditEntry.objects.get().actor is None
