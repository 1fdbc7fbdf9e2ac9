"""Promise PS31: what somebody deleted, no late upload brings back."""

import pytest

from runs.ingest.removal import remove_run
from runs.models import DeletedRun, Run
from tests.wire import batch, finish, header, sample
from traceml_agent.delivery.client import GONE, judge

pytestmark = pytest.mark.django_db


@pytest.fixture
def deleted(wire) -> str:
    run_id = wire.whole_run()
    remove_run(Run.objects.get())
    return run_id


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/{}", header()),
        ("runs/{}/batches/b-1", batch([sample("gpu-0", 3600, 1800)])),
        ("runs/{}/batches/b-2", batch([sample("gpu-0", 7200, 1800)])),
        ("runs/{}/finish", finish()),
    ],
    ids=["header", "batch sent before", "new batch", "finish"],
)
def test_a_late_upload_for_a_deleted_run_is_gone(wire, deleted, path, body):
    answer = wire.put(path.format(deleted), body)
    assert answer.status_code == 410
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "run-deleted"
    assert not Run.objects.exists()


def test_reading_a_deleted_run_is_like_reading_one_that_never_was(wire, deleted):
    assert wire.get(f"runs/{deleted}").status_code == 404


def test_another_projects_run_of_the_same_id_lives_on(wire, charlies_wire, deleted):
    assert charlies_wire.put(f"runs/{deleted}", header()).status_code == 201


def test_the_tombstone_keeps_the_id_alone(deleted, people):
    tombstone = DeletedRun.objects.get()
    assert (tombstone.project, str(tombstone.run_id)) == (people.project, deleted)


def test_what_the_agent_makes_of_it_is_to_drop_the_run(wire, deleted):
    """The portal's own answer, judged by the agent's own code."""
    answer = wire.put(f"runs/{deleted}/finish", finish())
    assert judge(answer.status_code, answer.headers, answer.content, (deleted, None, "")).outcome == GONE
