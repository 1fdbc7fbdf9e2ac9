"""Machines whose clocks are wrong: their runs arrive, with the portal's times."""

from datetime import UTC, datetime, timedelta

import pytest

from runs.models import DailyUsage, Run, Writer
from tests.wire import A100, batch, sample

pytestmark = pytest.mark.django_db

YEARS_1970 = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)


class Machine:
    """An agent's machine whose clock is ahead of the true time by `off`."""

    def __init__(self, off: timedelta):
        self.off = off

    def __call__(self, **ago) -> str:
        """What its clock showed so long ago."""
        return (datetime.now(UTC) - timedelta(**ago) + self.off).isoformat()


def near(at: datetime, **ago) -> bool:
    return abs(at - (datetime.now(UTC) - timedelta(**ago))) < timedelta(seconds=30)


FAST, SLOW = timedelta(days=3.5), YEARS_1970 - datetime.now(UTC)


@pytest.mark.parametrize(
    "off", [FAST, SLOW, timedelta(minutes=11), timedelta(days=9000)], ids=["3.5 d", "1970", "11 min", "25 a"]
)
def test_a_whole_run_of_a_wrong_clock_has_the_portals_times(wire, off):
    clock = Machine(off)
    start = {"started_at": clock(minutes=20), "writer_started_at": clock(minutes=20)}
    run_id = wire.start(**start, sent_at=clock())
    own = {"writer_started_at": start["writer_started_at"]}
    assert wire.send(run_id, "b-1", batch([sample("gpu-0", 600, 60)], **own)).status_code == 201
    assert wire.finish(run_id, ended_at=clock(minutes=10), sent_at=clock(), **own).status_code == 200
    run, writer = Run.objects.get(), Writer.objects.get()
    assert near(run.started_at, minutes=20)
    assert near(writer.started_at, minutes=20)
    assert near(run.ended_at, minutes=10)
    assert writer.clock_skew_s == pytest.approx(off.total_seconds(), abs=30)
    assert (run.state, run.duration_s) == ("completed", 600)
    assert set(DailyUsage.objects.values_list("day", flat=True)) <= {run.started_at.date(), run.ended_at.date()}


def test_a_few_minutes_are_left_as_they_are(wire):
    clock = Machine(timedelta(minutes=9))
    wire.start(started_at=clock(minutes=20), sent_at=clock())
    assert near(Run.objects.get().started_at, minutes=11)
    assert Writer.objects.get().clock_skew_s == 0


@pytest.mark.parametrize("off", [FAST, SLOW], ids=["3.5 d", "1970"])
def test_a_clock_that_was_set_right_meanwhile_leaves_the_time_of_arrival(wire, off):
    wrong, right = Machine(off), Machine(timedelta(0))
    wire.start(started_at=wrong(seconds=3), writer_started_at=wrong(seconds=3), sent_at=right())
    assert near(Run.objects.get().started_at)
    assert Writer.objects.get().clock_skew_s == pytest.approx(off.total_seconds(), abs=30)


def test_the_end_tells_when_a_run_began_that_arrives_days_later(wire):
    wrong, right = Machine(SLOW), Machine(timedelta(0))
    run_id = wire.start(started_at=wrong(days=5), writer_started_at=wrong(days=5), sent_at=right())
    answer = wire.send(run_id, "b-1", batch([sample("gpu-0", 2 * 86_400, 60)]))
    assert answer.status_code == 201, answer.content
    wire.finish(run_id, ended_at=right(days=3), sent_at=right())
    run = Run.objects.get()
    assert near(run.started_at, days=5)
    assert near(run.ended_at, days=3)
    assert max(DailyUsage.objects.values_list("day", flat=True)) <= datetime.now(UTC).date()


def test_a_header_sent_again_after_the_clock_was_set_moves_nothing(wire):
    wrong, right = Machine(FAST), Machine(timedelta(0))
    start = {"started_at": wrong(minutes=5), "writer_started_at": wrong(minutes=5)}
    run_id = wire.start(**start, sent_at=wrong())
    before = Run.objects.get().started_at, Writer.objects.get().started_at
    wire.start(run_id, **start, sent_at=right())
    assert (Run.objects.get().started_at, Writer.objects.get().started_at) == before


def test_an_end_that_cannot_be_right_is_the_time_of_arrival(wire):
    run_id = wire.start()
    wire.finish(run_id, ended_at="1970-01-01T00:10:00Z", sent_at=Machine(timedelta(0))())
    assert near(Run.objects.get().ended_at)


@pytest.mark.parametrize(
    ("path", "field", "body"),
    [
        ("", "writer_started_at", {"model": "m", "started_at": "2026-01-01T00:00:00Z"}),
        ("/finish", "ended_at", {"status": "completed"}),
        ("/batches/b-1", "writer_started_at", {}),
    ],
)
def test_without_the_time_of_sending_a_time_that_cannot_be_right_is_refused(wire, path, field, body):
    run_id = wire.start()
    body = {"writer": "w-1" if field == "ended_at" else "w-new"} | body | {field: "1970-01-01T00:00:00Z"}
    answer = wire.put(f"runs/{run_id}{path}", body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_no_clock_is_too_wrong(wire, at):
    other = "9999-12-31T23:59:59Z" if at.startswith("0001") else "0001-01-01T00:00:00Z"
    wire.start(started_at=at, writer_started_at=at, sent_at=other)
    assert near(Run.objects.get().started_at)


def test_another_device_of_a_run_with_a_right_clock_still_may_not_lie_in_the_future(wire):
    answer = wire.send(wire.start(), "b-1", batch([sample("gpu-0", 5e8, 1)], [A100]))
    assert answer.status_code == 422
