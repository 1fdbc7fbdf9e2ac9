"""What could not be kept is counted: by the agent as it says, by the portal itself."""

import pytest

from runs.left_out import FURTHER, MOST_ROWS, added_up
from runs.models import Run
from tests.wire import batch
from traceml_agent.limits import MAX_METRIC_NAMES

pytestmark = pytest.mark.django_db


def row(what: str, count: int = 1, reason: str = "not a finite number") -> dict:
    return {"what": what, "reason": reason, "count": count}


def told(wire, run_id: str) -> list[dict]:
    return wire.get(f"runs/{run_id}").json()["left_out"]


def test_the_latest_list_of_a_writer_counts(wire):
    run_id = wire.start()
    wire.send(run_id, "b-1", batch(left_out=[row("metric 'loss'", 3)]))
    wire.send(run_id, "b-2", batch(left_out=[row("metric 'loss'", 5), row("tag ''", 1, "empty")]))
    assert told(wire, run_id) == [row("metric 'loss'", 5), row("tag ''", 1, "empty")]


def test_an_earlier_list_that_arrives_later_takes_nothing_back(wire):
    run_id = wire.start()
    wire.send(run_id, "b-2", batch(left_out=[row("metric 'loss'", 5)]))
    wire.send(run_id, "b-1", batch(left_out=[row("metric 'loss'", 3)]))
    wire.send(run_id, "b-3", batch())
    assert told(wire, run_id) == [row("metric 'loss'", 5)]


def test_the_last_list_comes_with_the_finish(wire):
    run_id = wire.start()
    wire.finish(run_id, left_out=[row("metric 'loss'", 2)])
    assert told(wire, run_id) == [row("metric 'loss'", 2)]


def test_those_of_several_writers_are_added_up(wire):
    run_id = wire.start()
    wire.send(run_id, "b-1", batch(left_out=[row("metric 'loss'", 3)]))
    wire.send(run_id, "b-2", batch(left_out=[row("metric 'loss'", 4)], writer="w-2"))
    assert told(wire, run_id) == [row("metric 'loss'", 7)]


def test_metrics_for_which_a_run_has_no_room_are_counted_once_a_batch(wire):
    run_id = wire.start()
    names = [f"m-{number}" for number in range(MAX_METRIC_NAMES)] + ["late", "late", "later"]
    body = batch(metrics=[{"t_s": n, "name": name, "value": 1.0} for n, name in enumerate(names)])
    for _ in range(3):
        wire.send(run_id, "b-1", body)
    reason = f"a run keeps at most {MAX_METRIC_NAMES} metrics"
    assert told(wire, run_id) == [row("metric 'late'", 2, reason), row("metric 'later'", 1, reason)]


def test_thousands_of_names_are_counted_together(wire):
    rows = added_up(row(f"metric '{number}'") for number in range(3000))
    assert len(rows) == MOST_ROWS + 1
    assert rows[-1] == row(FURTHER, 3000 - MOST_ROWS)


@pytest.mark.parametrize("bad", [{"what": "x"}, row("x", 0), row("x", -1), row("", 1), "x"])
def test_a_row_that_is_not_right_is_named(wire, bad):
    answer = wire.send(wire.start(), "b-1", batch(left_out=[bad]))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("left_out[0]")
    assert not Run.objects.get().batches.exists()
