"""The page: a file and choices, a preview, a confirmation, an undo; by those who may change runs."""

import io

import pytest
from django.test import Client

from runs.importers import work
from runs.models import AuditEntry, Import, ImportPart, Membership, Run, User
from tests import people as cast
from tests.imports.conftest import FILES
from tests.imports.test_storing import file, slurm
from tests.screens.html import Page

pytestmark = pytest.mark.django_db


def words_of(answer) -> str:
    return Page(answer).root.text


@pytest.fixture
def alice(people, catalogue, client) -> Client:
    client.force_login(people.alice)
    return client


@pytest.fixture
def viewer(people) -> Client:
    dora = User.objects.create_user("dora@example.org", cast.PASSWORD)
    Membership.objects.create(team=people.project.team, user=dora, role=Membership.Role.VIEWER)
    reader = Client()
    reader.force_login(dora)
    return reader


def choices(people, content: bytes | None, name: str = "emissions.csv", **more) -> dict:
    sent = {"project": people.project.pk, "timezone": "UTC", "kind": "training", "energy": "cpu"} | more
    if content is not None:
        sent["import_file"] = io.BytesIO(content)
        sent["import_file"].name = name
    return sent


def test_a_file_is_shown_confirmed_and_undone(alice, people):
    answer = alice.post("/imports/new/", choices(people, file((1, 60, 0.1), (2, 60, 0.2))), follow=True)
    page = words_of(answer)
    assert "emissions.csv" in page
    assert "CodeCarbon. Waiting for your confirmation." in page
    assert "Import 2 runs" in page
    assert not Run.objects.exists()
    asked = Import.objects.get()
    page = words_of(alice.post(f"/imports/{asked.pk}/confirm/", follow=True))
    assert "2 runs imported" in page
    assert {run.member_id for run in Run.objects.all()} == {people.alice.pk}
    assert not ImportPart.objects.exists()
    page = words_of(alice.post(f"/imports/{asked.pk}/undo/", follow=True))
    assert "The 2 runs of this import are gone" in page
    assert not Run.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "runs imported",
        "import undone",
    ]


def test_refused_rows_and_what_is_left_out_are_shown_with_their_reasons(alice, people):
    sacct = (FILES / "sacct.txt").read_bytes()
    answer = alice.post("/imports/new/", choices(people, sacct, "sacct.txt", models="train-* = {1}"), follow=True)
    page = words_of(answer)
    assert "1 row refused" in page
    assert "The number of CPUs is “-4”" in page
    assert "2: the job has not ended" in page
    assert "a100 NVIDIA A100 SXM4 40GB" in page


def test_a_wrong_choice_is_told_at_its_field(alice, people):
    page = words_of(alice.post("/imports/new/", choices(people, file((1, 60, 0.1)), timezone="Mars", models="x")))
    assert "This is not a time zone such as Europe/Berlin." in page
    assert not Import.objects.exists()
    page = words_of(alice.post("/imports/new/", choices(people, None)))
    assert "Choose a file." in page


def test_a_script_sends_a_large_file_in_parts(alice, people):
    begun = alice.post(
        "/imports/new/", choices(people, None) | {"file_name": "jobs.txt"}, headers={"Accept": "application/json"}
    ).json()
    data = slurm(50)
    for number, part in enumerate((data[:1000], data[1000:])):
        sent = alice.post(f"{begun['parts']}{number}/", part, content_type="application/octet-stream")
        assert sent.status_code == 204
    assert "Import 50 runs" in words_of(alice.post(begun["check"], follow=True))


def test_while_the_portal_works_the_page_shows_how_far_it_is_and_reloads(alice, people, monkeypatch):
    monkeypatch.setattr(work, "AT_ONCE_BYTES", 0)
    alice.post("/imports/new/", choices(people, file((1, 60, 0.1))))
    asked = Import.objects.get()
    asked.hear(0.4)
    page = alice.get(f"/imports/{asked.pk}/").content.decode()
    assert 'http-equiv="refresh"' in page
    assert 'value="0.4"' in page


def test_viewers_look_but_do_not_import(viewer, alice, people):
    alice.post("/imports/new/", choices(people, file((1, 60, 0.1))))
    asked = Import.objects.get()
    assert "Your role lets you see imports" in words_of(viewer.get("/imports/"))
    page = words_of(viewer.get(f"/imports/{asked.pk}/"))
    assert "What is in the file" in page
    assert "Import 1 run" not in page
    for action in ("check", "confirm", "undo", "discard", "parts/0"):
        assert viewer.post(f"/imports/{asked.pk}/{action}/").status_code == 403
    viewer.post("/imports/new/", choices(people, file((1, 60, 0.1))))
    assert Import.objects.count() == 1


def test_charlie_sees_nothing_of_alices_imports(alice, people):
    alice.post("/imports/new/", choices(people, file((1, 60, 0.1)), "secret.csv"))
    asked, charlie = Import.objects.get(), Client()
    charlie.force_login(people.charlie)
    assert "secret.csv" not in words_of(charlie.get("/imports/"))
    assert charlie.get(f"/imports/{asked.pk}/").status_code == 404
    assert charlie.post(f"/imports/{asked.pk}/confirm/").status_code == 404
    charlie.post("/imports/new/", choices(people, file((1, 60, 0.1))))
    assert Import.objects.count() == 1


@pytest.mark.parametrize("name", ["sacct.txt", "codecarbon-3.3.2-tasks.csv", "eco2ai-0.3.12.csv", "mlflow-3.db.gz"])
def test_every_page_shows_imported_runs(alice, people, name):
    alice.post("/imports/new/", choices(people, (FILES / name).read_bytes(), name))
    alice.post(f"/imports/{Import.objects.get().pk}/confirm/")
    assert Run.objects.exists()
    for run in Run.objects.select_related("tracked_model"):
        assert run.label in words_of(alice.get(f"/runs/{run.run_id}/"))
        assert alice.get(f"/runs/{run.run_id}/series").status_code == 200
        assert alice.get(f"/models/digits/{run.tracked_model.slug}/").status_code == 200
    for address in ("/", "/?range=all", "/runs/", "/models/", "/hardware/", "/imports/"):
        assert alice.get(address).status_code == 200


def test_an_import_is_confirmed_once(alice, people):
    alice.post("/imports/new/", choices(people, file((1, 60, 0.1))))
    asked = Import.objects.get()
    alice.post(f"/imports/{asked.pk}/confirm/")
    page = words_of(alice.post(f"/imports/{asked.pk}/confirm/", follow=True))
    assert "This can't be done now" in page or "This can’t be done now" in page
    assert Run.objects.count() == 1
