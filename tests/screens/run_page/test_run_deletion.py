"""Deleting a run: asked first, done by POST, by those who work on the project, and written down."""

import pytest

from runs.models import AuditEntry, Membership, Run


@pytest.fixture
def path(run) -> str:
    return f"/runs/{run(name='the run')}/delete/"


def make_viewer(person) -> None:
    Membership.objects.filter(user=person).update(role=Membership.Role.VIEWER)


def test_the_page_asks_first(alice, path):
    assert "Delete this run?" in alice.read(path).text
    assert Run.objects.exists()


@pytest.mark.parametrize("reader", ["alice", "bob"])
def test_an_owner_or_a_member_deletes_it(request, people, reader, path):
    answer = request.getfixturevalue(reader).post(path, follow=True)
    assert not Run.objects.for_user(people.alice).exists()
    assert "Run the run deleted." in answer.content.decode()


def test_a_viewer_may_not_and_is_offered_no_button(bob, people, path):
    make_viewer(people.bob)
    assert bob.post(path).status_code == 403
    assert Run.objects.exists()
    assert path not in bob.read(path.removesuffix("delete/")).links()


def test_the_runs_page_leads_there(alice, path):
    assert path in alice.read(path.removesuffix("delete/")).links()


def test_for_somebody_else_there_is_nothing_to_delete(charlie, path):
    assert charlie.get(path).status_code == charlie.post(path).status_code == 404
    assert Run.objects.exists()


def test_the_deed_is_written_down(alice, people, path):
    alice.post(path)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.team, entry.action) == (people.alice, people.project.team, "run deleted")
    assert entry.subject.startswith("the run (")
