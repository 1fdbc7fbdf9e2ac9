"""What happened to a run, as far as it is stored."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from runs.models import Batch, Reestimation, Run, RunCurve, RunRevision, Writer
from runs.run_page.events import MOST_SILENCES, events, gaps

START = datetime(2026, 11, 25, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def run(**more) -> Run:
    own = {"started_at": START, "received_at": at(0.1), "last_seen_at": at(60), "upload_interval_s": 60}
    return Run(**(own | {"status": "completed", "ended_at": at(60)} | more))


def writer(minutes: float = 0, host: str = "node-1", **more) -> Writer:
    return Writer(started_at=at(minutes), host=host, **({"status": "completed"} | more))


def words(run: Run, writers=(), arrivals=None, revisions=()) -> list[tuple]:
    silent = silences(run, [at(n) for n in range(1, 60)] if arrivals is None else arrivals)
    return [tuple(event)[1:] for event in events(run, list(writers) or [writer()], silent, list(revisions))]


def silences(run: Run, arrivals: list[datetime], kept: RunCurve | None = None) -> list[tuple[datetime, datetime]]:
    return gaps(run, kept, [Batch(received_at=each) for each in arrivals])


def test_a_run_in_one_go_began_and_ended():
    assert words(run()) == [("Started", "on node-1"), ("First data arrived", ""), ("Completed", "")]


def test_a_failed_run_says_of_what():
    assert words(run(status="failed", exception="OutOfMemoryError"))[-1] == ("Failed", "OutOfMemoryError")


def test_data_that_came_late_were_kept_by_the_agent():
    found = words(run(received_at=at(50)), arrivals=[at(50)])
    assert ("First data arrived", "stored by the agent until then") in found


def test_a_silence_of_more_than_three_intervals_was_a_loss_and_late_data_its_end():
    arrivals = [at(n) for n in (1, 2, 3, 10, *range(11, 60))]
    found = events(run(), [writer()], silences(run(), arrivals), [])
    assert [(each.at, each.word) for each in found[2:4]] == [(at(6), "Lost"), (at(10), "Data received again")]
    assert found[3].detail == "after 7 min of silence"


def test_three_intervals_are_no_silence():
    assert "Lost" not in [word for word, _ in words(run(), arrivals=[at(n) for n in range(1, 60, 3)])]


def test_only_the_last_silences_are_told():
    found = words(run(), arrivals=[at(n) for n in range(4, 60, 4)])
    assert [word for word, _ in found].count("Lost") == MOST_SILENCES


def test_a_silence_before_the_batches_that_are_still_read_is_told_too():
    kept = RunCurve(heard_at=at(30), silences=[[at(5).isoformat(), at(12).isoformat()]])
    found = silences(run(), [at(n) for n in (32, 34, 50, *range(51, 60))], kept)
    assert found == [(at(5), at(12)), (at(34), at(50))]


def test_a_run_that_is_silent_now_is_lost():
    assert words(run(status="running", ended_at=None))[-1] == ("Lost", "late data would revive it")


def test_an_attempt_after_another_has_a_beginning_and_the_former_an_end():
    writers = [writer(status="failed", last_t_s=600), writer(20, "node-2")]
    found = words(run(), writers)
    assert ("A process failed", "on node-1") in found
    assert ("Another attempt started", "on node-2") in found


def test_processes_at_once_are_no_attempts():
    writers = [writer(status="stopped", last_t_s=600), writer(5, "node-2", last_t_s=600)]
    found = words(run(), writers)
    assert ("A process was stopped", "on node-1") in found
    assert ("Another process started", "on node-2") in found


def test_ranks_are_called_by_their_numbers():
    writers = [writer(rank=0, last_t_s=600), writer(0.2, rank=1, status="failed", last_t_s=300)]
    assert [word for word, _ in words(run(status="failed", exception="ValueError (rank 1)"), writers)] == [
        "Started",
        "First data arrived",
        "Rank 1 started",
        "Rank 1 failed",
        "Failed",
    ]


def test_corrections_keep_what_it_had_been():
    revision = RunRevision(
        replaced_at=at(90), reestimation=Reestimation(reason="TDP was wrong"), energy_kwh=1.0, emissions_kg=0.5
    )
    assert words(run(), revisions=[revision])[-1] == (
        "Recalculated",
        "TDP was wrong; previously 1 kWh and 500 g of CO₂e",
    )


@pytest.mark.parametrize(("field", "word"), [("archived_at", "Archived"), ("series_removed_at", "Samples removed")])
def test_what_was_done_to_it_is_told(field, word):
    assert words(run(**{field: timezone.now()}))[-1][0] == word
