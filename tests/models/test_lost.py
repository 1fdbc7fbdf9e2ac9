"""A run that went silent is lost: in Python and in SQL by the same cases."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from runs.models import EmissionFactor, Run, TrackedModel

pytestmark = pytest.mark.django_db

#: Status, seconds of silence, upload interval in seconds, and the state that a reader should see.
CASES = [
    ("running", 0, 30, "running"),
    ("running", 89, 30, "running"),
    ("running", 91, 30, "lost"),
    ("running", 600, 3600, "running"),
    ("running", 3 * 3600 - 1, 3600, "running"),
    ("running", 3 * 3600 + 1, 3600, "lost"),
    ("running", -60, 30, "running"),
    ("running", 4 * 86_400, 86_400, "lost"),
    ("completed", 4 * 86_400, 30, "completed"),
    ("failed", 4 * 86_400, 30, "failed"),
    ("cancelled", 4 * 86_400, 30, "cancelled"),
    ("stopped", 4 * 86_400, 30, "stopped"),
]


@pytest.fixture
def now(monkeypatch):
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    return now


@pytest.fixture
def run_of(people, now):
    def make(status: str, silent_s: float, upload_interval_s: float) -> Run:
        return Run.objects.create(
            project=people.project,
            tracked_model=TrackedModel.named(people.project, "resnet-50"),
            run_id=uuid.uuid4(),
            factor=EmissionFactor.objects.active(),
            started_at=now - timedelta(days=9),
            last_seen_at=now - timedelta(seconds=silent_s),
            status=status,
            upload_interval_s=upload_interval_s,
        )

    return make


@pytest.mark.parametrize(("status", "silent_s", "interval_s", "state"), CASES)
def test_a_run_and_a_query_say_the_same_state(run_of, now, status, silent_s, interval_s, state):
    run = run_of(status, silent_s, interval_s)
    assert run.state == state
    found = {word for word in (*Run.Status.values, Run.LOST) if Run.objects.in_state(word, now).filter(pk=run.pk)}
    assert found == {state}


@pytest.mark.parametrize(("status", "silent_s", "interval_s", "state"), CASES)
def test_what_failed_was_cancelled_or_is_lost_came_to_nothing(run_of, now, status, silent_s, interval_s, state):
    run = run_of(status, silent_s, interval_s)
    came_to_nothing = Run.objects.came_to_nothing(now).filter(pk=run.pk).exists()
    assert came_to_nothing == (state in ("failed", "cancelled", "lost"))
