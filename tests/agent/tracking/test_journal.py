"""What a run is told between two records: nothing gets lost in memory, and of a job's ranks the first speaks."""

import pytest

from tests.agent.spooling import begun
from traceml_agent.measuring import spooled
from traceml_agent.tracking.journal import MAX_ROWS, Journal


@pytest.fixture
def spool(tmp_path):
    return begun(tmp_path)


@pytest.fixture
def journal(spool):
    made = Journal(0.0, 0, lambda: made.write_to(spool, {}, {}), lambda: None, lambda: None)
    return made


@pytest.fixture
def written(spool):
    """Writes what a journal has, and gives all that it has written."""

    def write(journal) -> list[dict]:
        journal.write_to(spool, {}, {})
        return list(spooled.bodies(spool.path, "update"))

    return write


def test_who_logs_more_than_a_record_holds_writes_it_down(journal, written):
    journal.log((), {"val_accuracy": 0.9})
    for step in range(10_000):
        journal.log((), {"reward": step})
    bodies = written(journal)
    values = [(metric["name"], metric["value"]) for body in bodies for metric in body["metrics"]]
    assert values == [("val_accuracy", 0.9)] + [("reward", float(step)) for step in range(10_000)]
    assert max(len(body["metrics"]) for body in bodies) == MAX_ROWS


def test_one_odd_value_costs_itself_alone_and_is_told_of(journal, written):
    journal.log(({"acc": 0.5, "": 1.0, "lost": float("nan")},), {"loss": "no number"})
    (body,) = written(journal)
    assert [metric["name"] for metric in body["metrics"]] == ["acc"]
    assert sum(row["count"] for row in body["left_out"]) == 3


def test_what_was_left_out_is_told_again_only_when_there_is_more(journal, written):
    journal.log((), {"loss": None})
    assert [bool(body.get("left_out")) for body in written(journal)] == [True]
    journal.log((), {"loss": 1.0})
    assert [bool(body.get("left_out")) for body in written(journal)] == [True, False]


def test_work_of_every_rank_counts_and_only_the_firsts_metrics(written):
    second = Journal(0.0, 1, lambda: None, lambda: None, lambda: None)
    second.log((), {"samples": 32, "loss": 0.5})
    (body,) = written(second)
    assert [(metric["name"], metric["value"]) for metric in body["metrics"]] == [("samples", 32.0)]


def test_amounts_that_add_up_to_no_number_are_left_out(journal, written):
    journal.log((), {"samples": 1e308})
    journal.log((), {"samples": 1e308})
    assert journal.work["samples"] == 1e308
    (body,) = written(journal)
    assert [row["what"] for row in body["left_out"]] == ["metric 'samples'"]


def test_a_part_that_is_known_only_afterwards_has_its_times_its_place_and_its_results(journal, written):
    """Candidates of a search, which workers tried: only their times are known, when it is over."""
    with journal.stage("search", None):
        journal.stage("candidate 1", None).place(1.0, 2.5)
        journal.log(({"score": 0.9},), {}, at=2.0)
    (body,) = written(journal)
    search, candidate = sorted(body["stages"], key=lambda stage: stage["id"])
    assert (candidate["start_s"], candidate["end_s"], candidate["parent"]) == (1.0, 2.5, search["id"])
    assert [metric["t_s"] for metric in body["metrics"]] == [2.0]


def test_a_stage_may_get_its_result_in_its_name_which_is_cleaned_as_any(journal, written):
    with journal.stage("trial 3", None) as stage:
        stage.rename("trial 3 (kernel=rbf\n, value=0.25)" + 300 * "x")
        stage.rename(None)
    (body,) = written(journal)
    (told,) = body["stages"]
    assert told["name"].startswith("trial 3 (kernel=rbf , value=0.25)")
    assert len(told["name"]) == 200


def test_what_the_next_days_run_takes_over_happened_at_its_start(journal, written):
    """A thread may log, or end a part, in the moment in which the day's run ends: its own clock is the wrong one."""
    journal.log((), {"loss": 0.5}, at=86_399.9)
    stage = journal.stage("load", None)
    stage.place(86_399.0, 86_402.0)
    journal.begin_anew(86_400.0)
    journal.log((), {"loss": 0.4}, at=86_401.0)
    (body,) = written(journal)
    assert [row["t_s"] for row in body["metrics"]] == [0.0, 1.0]
    assert [(row["start_s"], row["end_s"]) for row in body["stages"]] == [(0.0, 2.0)]
