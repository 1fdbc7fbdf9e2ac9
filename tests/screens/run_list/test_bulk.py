"""What is done with several runs at once: by whom, to which runs, and back to the list as it was."""

import uuid

import pytest

from runs.models import DailyUsage, Membership, Run


@pytest.fixture
def two(run) -> list[str]:
    return [run(kwh=1.0, name="one"), run(kwh=2.0, name="two")]


def post(reader, action: str, runs, **more):
    return reader.post("/runs/bulk/", {"action": action, "run": runs, "back": "q=o&sort=-energy"} | more)


def test_a_tag_is_added_once_and_removed(alice, two):
    for _ in range(2):
        answer = post(alice, "tag", two, tag=" night ")
    assert answer["Location"] == "/runs/?q=o&sort=-energy"
    assert list(Run.objects.values_list("tags", flat=True)) == [["night"], ["night"]]
    post(alice, "untag", two[:1], tag="night")
    assert sorted(Run.objects.values_list("tags", flat=True)) == [[], ["night"]]


@pytest.mark.parametrize("tag", ["", "a\x00b", "\u202egpj", "x" * 201])
def test_a_tag_that_may_not_be_is_refused_in_words(alice, two, tag):
    answer = alice.post("/runs/bulk/", {"action": "tag", "run": two, "tag": tag}, follow=True)
    assert answer.status_code == 200
    assert Run.objects.filter(tags=[]).count() == 2


def test_archived_runs_come_back(alice, two):
    post(alice, "archive", two[:1])
    assert Run.objects.get(archived_at=None).name == "two"
    post(alice, "restore", two)
    assert Run.objects.filter(archived_at=None).count() == 2


def test_deleting_asks_first_and_then_takes_the_runs_out_of_the_totals(alice, people, two):
    asked = post(alice, "delete", two[:1])
    assert asked.status_code == 200
    assert "Delete 1 run?" in asked.content.decode()
    assert Run.objects.count() == 2
    post(alice, "delete", two[:1], confirm="yes")
    assert Run.objects.for_user(people.alice).get().name == "two"
    usage = DailyUsage.objects.for_user(people.alice)
    assert sum(usage.values_list("energy_kwh", flat=True)) == pytest.approx(2.0)


def test_compare_leads_to_the_comparison(alice, two):
    assert post(alice, "compare", two)["Location"] == f"/compare/?run={two[0]}&run={two[1]}"


@pytest.mark.parametrize("action", ["tag", "untag", "archive", "restore", "delete"])
def test_charlie_changes_nothing_of_theirs(charlie, two, action):
    post(charlie, action, two, tag="x", confirm="yes")
    assert Run.objects.filter(tags=[], archived_at=None).count() == 2


@pytest.mark.parametrize("action", ["tag", "untag", "archive", "restore", "delete"])
def test_a_viewer_only_looks(bob, people, two, action):
    Membership.objects.filter(user=people.bob).update(role=Membership.Role.VIEWER)
    post(bob, action, two, tag="x", confirm="yes")
    assert Run.objects.filter(tags=[], archived_at=None).count() == 2
    assert "Archive" not in bob.read("/runs/").by_id("bulk").text


def test_bob_as_a_member_may(bob, two):
    post(bob, "archive", two)
    assert Run.objects.filter(archived_at=None).count() == 0


@pytest.mark.parametrize("runs", [[], ["x"], [str(uuid.uuid4())]])
def test_nothing_that_is_there_chosen_says_so(alice, two, runs):
    page = alice.post("/runs/bulk/", {"action": "archive", "run": runs}, follow=True)
    assert "Select at least one run" in page.content.decode()


def test_no_other_action_and_no_other_method_is_taken(alice, two):
    assert post(alice, "steal", two).status_code == 400
    assert alice.get("/runs/bulk/")["Location"] == "/runs/"


def test_the_way_back_stays_in_the_run_list(alice, two):
    answer = post(alice, "archive", two, back="//evil.example/?x=\r\nSet-Cookie: a=b")
    assert answer["Location"].startswith("/runs/?")
    assert "\n" not in answer["Location"]
