"""The trash in the settings: who deletes finds it there, restores it, and admins alone delete for good."""

import pytest

from runs.ingest.trash import trash_project
from runs.models import AuditEntry, Membership, Project, Role, Run, TrackedModel, Trashed
from tests.screens.html import Page
from tests.screens.run_list.test_runs import names

TRASH = "/settings/teams/vision-lab/trash/"


def everything(reader, run_id: str) -> str:
    """All that a person sees and downloads of a team's runs."""
    pages = ["/", "/runs/?archived=all", "/models/", "/report/", "/hardware/", "/runs/?group=model", "/compare/"]
    files = ["/runs/export.csv", "/runs/export.json", "/report.csv"]
    told = "".join(reader.get(page, follow=True).content.decode() for page in pages)
    return told + "".join(b"".join(reader.get(file)).decode() for file in files)


def items() -> list[int]:
    return list(Trashed.objects.order_by("pk").values_list("pk", flat=True))


def test_a_deleted_run_is_nowhere_but_in_the_trash_and_comes_back(bob, run):
    kept, deleted = run(2.0, name="kept"), run(5.0, name="deleted-one")
    before = everything(bob, deleted)
    assert "deleted-one" in before
    answer = Page(bob.post(f"/runs/{deleted}/delete/", follow=True))
    assert "from the trash" in answer.text
    meanwhile = everything(bob, deleted)
    assert "deleted-one" not in meanwhile
    assert deleted not in meanwhile
    assert "5 kWh" not in meanwhile
    assert bob.get(f"/runs/{deleted}/").status_code == 404
    page = bob.read(TRASH)
    assert "deleted-one" in page.text
    assert "5 kWh" in page.text
    assert "Bob" in page.text
    assert "deleted-one" not in bob.read(f"/runs/{kept}/").text
    bob.post(f"{TRASH}restore/", {"item": items()})
    assert bob.get(f"/runs/{deleted}/").status_code == 200
    assert sorted(names(bob.read("/runs/"))) == ["deleted-one", "kept"]
    assert "The trash is empty" in bob.read(TRASH).text


def test_deleting_several_can_be_undone_as_a_whole(bob, run):
    ids = [run(name=f"r-{number}") for number in range(3)]
    bob.post("/runs/bulk/", {"action": "delete", "run": ids, "confirm": "yes"})
    assert names(bob.read("/runs/")) == []
    assert len(items()) == 3
    bob.post(f"{TRASH}restore/", {"item": items()})
    assert sorted(names(bob.read("/runs/"))) == ["r-0", "r-1", "r-2"]


def test_a_model_is_deleted_from_its_page_and_comes_back(bob, run):
    run(name="of-it")
    page = "/models/digits/resnet-50/"
    assert f"{page}delete/" in bob.read(page).links()
    assert "from the trash" in bob.read(f"{page}delete/").text
    bob.post(f"{page}delete/")
    assert bob.get(page).status_code == 404
    bob.get("/models/")  # which says once that it is gone
    assert "resnet-50" not in bob.read("/models/").one("main").text
    assert "1 run" in bob.read(TRASH).text
    bob.post(f"{TRASH}restore/", {"item": items()})
    assert names(bob.read("/runs/")) == ["of-it"]
    assert bob.get(page).status_code == 200


def test_a_project_comes_back_with_its_tokens_whose_history_can_be_read_meanwhile(alice, people, run):
    run(name="of-it")
    people.project.apitoken_set.update(name="cluster", created_by=people.bob)
    alice.post("/settings/teams/vision-lab/projects/digits/delete/", {"name": "Digits"})
    assert alice.get("/settings/teams/vision-lab/projects/digits/").status_code == 404
    told = alice.read(TRASH).text
    assert "(cluster) created by bob@example.org" in told
    alice.post(f"{TRASH}restore/", {"item": items()})
    assert names(alice.read("/runs/")) == ["of-it"]


def test_admins_delete_for_good_and_the_log_keeps_what_it_came_to(alice, bob, run):
    run_id = run(5.0, name="private")
    bob.post(f"/runs/{run_id}/delete/")
    assert "Delete permanently" not in bob.read(TRASH).text
    assert bob.post(f"{TRASH}remove/", {"item": items()}).status_code == 403
    alice.post(f"{TRASH}remove/", {"item": items()})
    assert not Run.objects.exists()
    assert not Trashed.objects.exists()
    assert AuditEntry.objects.filter(action="run removed for good", subject__contains="5 kWh").exists()
    assert f"private ({run_id}): 5 kWh" in alice.read("/settings/teams/vision-lab/audit/").text


def test_a_viewer_neither_sees_nor_restores(bob, alice, people, run):
    alice.post(f"/runs/{run()}/delete/")
    Membership.objects.filter(user=people.bob).update(role=Role.VIEWER)
    assert bob.get(TRASH).status_code == 403
    assert TRASH not in bob.read("/settings/teams/vision-lab/").links()
    assert bob.post(f"{TRASH}restore/", {"item": items()}).status_code == 403
    assert len(items()) == 1


def test_a_member_restores_no_project(bob, people):
    trash_project(people.project)
    assert "Select the project" not in bob.get(TRASH).content.decode()
    assert bob.post(f"{TRASH}restore/", {"item": items()}).status_code == 403


def test_charlie_reaches_nothing_of_it(charlie, alice, run):
    alice.post(f"/runs/{run(name='ours')}/delete/")
    assert charlie.get(TRASH).status_code == 404
    assert charlie.post(f"{TRASH}restore/", {"item": items()}).status_code == 404
    own = "/settings/teams/other-lab/trash/"
    assert "ours" not in charlie.read(own).text
    charlie.post(f"{own}restore/", {"item": items()})
    charlie.post(f"{own}remove/", {"item": items()})
    assert len(items()) == 1


@pytest.mark.parametrize("item", ["", "x", "-1", "9" * 30, "\u0661", "0"])
@pytest.mark.parametrize("act", ["restore", "remove"])
def test_what_is_no_item_changes_nothing(alice, run, item, act):
    alice.post(f"/runs/{run()}/delete/")
    assert alice.post(f"{TRASH}{act}/", {"item": item}).status_code == 302
    assert len(items()) == 1


def test_a_run_whose_project_is_in_the_trash_says_so(alice, people, run):
    alice.post(f"/runs/{run(name='early')}/delete/")
    trash_project(people.project)
    assert "which is also in the trash" in alice.read(TRASH).text
    early = Trashed.objects.get(kind="run")
    told = Page(alice.post(f"{TRASH}restore/", {"item": early.pk}, follow=True)).text
    assert "Restore the project first" in told


def test_names_stay_free_meanwhile(alice, people, run):
    run()
    alice.post("/models/digits/resnet-50/delete/")
    run(name="anew")
    assert TrackedModel.objects.filter(project=people.project, name="resnet-50").count() == 1
    alice.post("/settings/teams/vision-lab/projects/digits/delete/", {"name": "Digits"})
    alice.post("/settings/teams/vision-lab/new-project/", {"name": "Digits"})
    assert Project.objects.for_user(people.alice).get().name == "Digits"


def test_its_page_takes_few_queries_however_much_lies_there(alice, people, run, django_assert_max_num_queries):
    for number in range(5):
        alice.post(f"/runs/{run(name=f'r-{number}')}/delete/")
    trash_project(people.project)
    with django_assert_max_num_queries(12):
        alice.get(TRASH)
