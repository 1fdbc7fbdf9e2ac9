"""How a run ended is told by the ends of all of its processes, in whatever order they arrive."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import permutations

import pytest
from django.apps import apps

from runs.models import DailyUsage, Run, Writer
from tests.wire import A100, ago, batch, sample

pytestmark = pytest.mark.django_db


def rank(wire, run_id: str, number: int, seconds: float = 60, begun: str | None = None) -> dict:
    """A process of a run that began an hour ago, with samples of `seconds`; returns what it says of itself."""
    own = {"writer": f"w-{number}", "writer_started_at": begun or wire.began}
    wire.start(run_id, rank=number, started_at=wire.began, **own)
    card = A100 | {"uuid": f"GPU-{number}"}
    assert wire.send(run_id, f"b-{number}", batch([sample("gpu-0", seconds, 1)], [card], **own)).status_code == 201
    return own


@pytest.fixture
def job(wire) -> str:
    """The id of a run that began an hour ago."""
    wire.began = ago(hours=1)
    return wire.start(started_at=wire.began, writer="w-0", writer_started_at=wire.began, rank=0)


def after(wire, seconds: float) -> str:
    return (datetime.fromisoformat(wire.began) + timedelta(seconds=seconds)).isoformat()


def test_a_run_that_was_told_to_end_is_stopped(wire, job):
    assert wire.finish(job, writer="w-0", status="stopped").status_code == 200
    assert Run.objects.get().state == "stopped"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_first_failure_is_the_runs_and_what_it_took_with_it_is_not(wire, job, order):
    ranks = [rank(wire, job, number) for number in range(3)]
    ends = [
        {"status": "stopped", "ended_at": after(wire, 63)},
        {"status": "failed", "ended_at": after(wire, 60), "exception": "ValueError (rank 1)"},
        {"status": "failed", "ended_at": after(wire, 61), "exception": "RuntimeError (rank 2)"},
    ]
    for number in order:
        wire.finish(job, **ranks[number], **ends[number])
    run = Run.objects.get()
    assert (run.status, run.exception) == ("failed", "ValueError (rank 1)")
    assert run.ended_at == datetime.fromisoformat(after(wire, 63))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_ctrl_c_is_the_cause_of_the_signals_that_the_launcher_sends(wire, job, order):
    ranks = [rank(wire, job, number) for number in range(2)]
    ends = [{"status": "stopped"}, {"status": "cancelled"}]
    for number in order:
        wire.finish(job, **ranks[number], **ends[number])
    assert Run.objects.get().status == "cancelled"


def test_a_status_that_is_known_late_replaces_the_first(wire, job, catalogue):
    own = rank(wire, job, 0)
    wire.finish(job, **own, status="completed")
    wire.finish(job, **own, status="failed", exception="exit status 3")
    run = Run.objects.get()
    assert (run.status, run.exception) == ("failed", "exit status 3")
    assert sum(DailyUsage.objects.values_list("failed_kwh", flat=True)) == pytest.approx(run.energy_kwh)
    wire.finish(job, **own, status="completed")
    run.refresh_from_db()
    assert (run.status, run.exception) == ("completed", "")
    assert sum(DailyUsage.objects.values_list("failed_kwh", flat=True)) == pytest.approx(0, abs=1e-12)


def test_an_attempt_whose_failure_arrives_after_the_next_ones_end_changes_nothing(wire, job):
    first = rank(wire, job, 0)
    second = {"writer": "w-again", "writer_started_at": after(wire, 600)}
    wire.start(job, rank=0, started_at=wire.began, **second)
    wire.finish(job, **second, ended_at=after(wire, 700))
    wire.finish(job, **first, status="failed", exception="ValueError", ended_at=after(wire, 61))
    run = Run.objects.get()
    assert (run.status, run.exception) == ("completed", "")


def test_a_run_goes_on_while_one_of_its_ranks_does_though_nothing_came_of_it_yet(wire, job):
    wire.start(job, writer="w-1", rank=1, started_at=wire.began, writer_started_at=after(wire, 1))
    wire.finish(job, writer="w-1", ended_at=after(wire, 5))
    assert Run.objects.get().status == "running"
    wire.send(job, "b-0", batch([sample("gpu-0", 60, 1)], writer="w-0"))
    assert Run.objects.get().status == "running"


def test_a_run_that_is_taken_up_again_has_no_exception(wire, job):
    wire.finish(job, writer="w-0", status="failed", exception="ValueError")
    wire.start(job, writer="w-9", writer_started_at=datetime.now(UTC).isoformat())
    run = Run.objects.get()
    assert (run.status, run.exception, run.ended_at) == ("running", "", None)


def test_a_lost_run_ends_as_it_did_however_late_its_end_arrives(wire, job):
    own = rank(wire, job, 0)
    Run.objects.update(last_seen_at=datetime.now(UTC) - timedelta(minutes=50))
    assert Run.objects.get().state == "lost"
    wire.finish(job, **own, status="stopped", ended_at=after(wire, 62))
    run = Run.objects.get()
    assert (run.state, run.ended_at) == ("stopped", datetime.fromisoformat(after(wire, 62)))


def test_the_migration_lets_writers_end_as_their_runs_did(wire, job):
    rank(wire, job, 0)
    wire.finish(job, writer="w-0", status="failed", exception="ValueError", ended_at=after(wire, 60))
    wire.start()
    Writer.objects.update(ended_at=None, exception="")
    import_module("runs.migrations.0016_how_runs_end").end_writers(apps, None)
    ended, running = Writer.objects.order_by("pk")
    assert (ended.ended_at, ended.exception) == (datetime.fromisoformat(after(wire, 60)), "ValueError")
    assert (running.ended_at, running.exception) == (None, "")
