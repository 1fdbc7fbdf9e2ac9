"""What a portal refused: kept with the reason, listed, tried again, and given up only when told to."""

import json
import os
from pathlib import Path

import pytest

from tests.agent.spooling import begun, energies, expected, finish, left_in, new_run_id, run_id_of, update, whole
from traceml_agent.delivery import retrying
from traceml_agent.delivery.client import BUSY, DELIVERED, QUARANTINE, RETRY, STOP
from traceml_agent.spool import files, quarantine, recording

REASON = "Some fields are not right; see errors. metrics[0].name: must not be empty"


@pytest.fixture
def kept(place, settings, portal, client):
    """A group of two records that the portal refused, of a run that it knows."""
    run_id = new_run_id()
    client.put_run(run_id, {"model": "m", "started_at": "2026-01-01T00:00:00Z"})
    rows = [{"v": 1, "n": n, "type": "update", "body": update(n)} for n in (1, 2)]
    place.mkdir(exist_ok=True)
    quarantine.keep(str(place), run_id, "w-1", (1, 2), REASON, rows, portal.url)
    (each,) = quarantine.waiting(settings)
    return each


def test_refused_records_are_kept_with_the_portals_words(kept, portal):
    assert (kept.what, kept.reason, kept.portal) == ("2 records", REASON, portal.url)
    assert (kept.writer, kept.since[:2], Path(kept.path).name) == ("w-1", "20", f"{kept.run_id}.w-1.1-2.json")


def test_records_that_now_pass_arrive_under_their_batch_id_and_leave_the_quarantine(kept, client, portal, settings):
    assert retrying.retry(client, kept).outcome == DELIVERED
    run = portal.runs()[kept.run_id]
    assert (list(run["batches"]), energies(run)) == (["w-1-1-2"], expected(2))
    assert quarantine.waiting(settings) == []


def test_a_refused_end_of_a_run_is_sent_again_as_its_end(place, settings, portal, client):
    made = begun(place)
    client.put_run(run_id_of(made), {"model": "m", "started_at": "2026-01-01T00:00:00Z"})
    body = {"v": 1, "n": 9, "type": "finish", "body": finish(2)}
    quarantine.keep(str(place), run_id_of(made), "w-1", (9, 9), REASON, [body], portal.url)
    (each,) = quarantine.waiting(settings)
    assert each.what == "end of the run"
    assert retrying.retry(client, each).outcome == DELIVERED
    assert [end["status"] for end in portal.runs()[run_id_of(made)]["finishes"]] == ["completed"]


@pytest.mark.parametrize("mode", ["422", "409", "unknown"])
def test_records_that_are_refused_again_stay_with_the_newest_reason(kept, client, portal, settings, mode):
    portal.mode(mode)
    assert retrying.retry(client, kept).outcome == QUARANTINE
    (each,) = quarantine.waiting(settings)
    assert (each.reason != REASON, each.since, each.what) == (True, kept.since, "2 records")


@pytest.mark.parametrize(("mode", "outcome"), [("503", RETRY), ("401", STOP)])
def test_a_portal_that_takes_nothing_leaves_the_quarantine_as_it_is(kept, client, portal, settings, mode, outcome):
    portal.mode(mode)
    assert retrying.retry(client, kept).outcome == outcome
    assert quarantine.waiting(settings) == [kept]


def test_records_of_a_run_that_was_deleted_on_the_portal_go(kept, client, portal, settings):
    portal.mode("410")
    retrying.retry(client, kept)
    assert quarantine.waiting(settings) == []


def test_a_whole_file_is_set_aside_with_its_reason_and_what_was_sent(place, settings, portal):
    made = whole(place)
    Path(made.path).with_suffix(".sent").write_text("x")
    quarantine.set_aside(made.path, "params: must have at most 16 KiB", portal.url)
    (each,) = quarantine.waiting(settings)
    assert (each.run_id, each.what, each.reason) == (run_id_of(made), "whole file", "params: must have at most 16 KiB")
    assert (each.portal, Path(each.path).with_suffix(".sent").read_text()) == (portal.url, "x")
    assert left_in(place) == []


def test_a_whole_file_that_now_passes_is_delivered_through_the_spool(place, settings, portal, client):
    made = whole(place)
    quarantine.set_aside(made.path, REASON, portal.url)
    (each,) = quarantine.waiting(settings)
    assert retrying.retry(client, each).outcome == DELIVERED
    assert energies(portal.runs()[run_id_of(made)]) == expected(3)
    assert (left_in(place), list((place / "quarantine").iterdir())) == ([], [])


def test_what_a_file_has_delivered_before_is_not_sent_twice(place, settings, portal, client):
    """A damaged file is set aside after all that is whole in it has arrived."""
    made = whole(place)
    with Path(made.path).open("ab") as file:
        file.write(b"damaged\n")
    from traceml_agent.delivery.delivery import Delivery

    assert Delivery(made.path).deliver(client).outcome == QUARANTINE
    asked = len(portal.requests())
    (each,) = quarantine.waiting(settings)
    assert retrying.retry(client, each).outcome == QUARANTINE
    assert len(portal.requests()) == asked
    assert [each.run_id for each in quarantine.waiting(settings)] == [run_id_of(made)]


def test_a_whole_file_waits_in_the_spool_where_the_portal_fails(place, settings, portal, client):
    made = whole(place)
    quarantine.set_aside(made.path, REASON, portal.url)
    portal.mode("503")
    (each,) = quarantine.waiting(settings)
    assert retrying.retry(client, each).outcome == RETRY
    assert (Path(made.path).exists(), quarantine.waiting(settings)) == (True, [])


def test_a_file_of_a_run_still_under_way_is_left_alone(place, settings, portal, client):
    made = begun(place)
    quarantine.set_aside(made.path, REASON, portal.url)
    (each,) = quarantine.waiting(settings)
    assert retrying.retry(client, each).outcome == BUSY
    assert made.append("update", update(1))
    assert [record["type"] for _, record in recording.read(each.path)] == ["header", "update"]


def test_of_two_that_try_again_at_once_one_comes_too_late_and_nothing_is_lost(kept, client, portal, settings):
    retrying.retry(client, kept)
    assert retrying.retry(client, kept).outcome == DELIVERED
    assert quarantine.waiting(settings) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"records": [7]}', b'{"records": []}', os.urandom(50)])
def test_what_cannot_be_read_stays_and_is_told(kept, client, settings, content):
    Path(kept.path).write_bytes(content)
    (each,) = quarantine.waiting(settings)
    assert retrying.retry(client, each).outcome == QUARANTINE
    assert Path(kept.path).exists()


def test_what_earlier_versions_kept_is_understood(place, settings, portal, client):
    run_id = new_run_id()
    client.put_run(run_id, {"model": "m", "started_at": "2026-01-01T00:00:00Z"})
    (place / "quarantine").mkdir(parents=True)
    rows = [{"v": 1, "n": 1, "type": "update", "body": update(1)}]
    (place / "quarantine" / f"{run_id}.w-1.1-1.json").write_text(json.dumps({"reason": "no", "records": rows}))
    made = whole(place)
    Path(made.path).rename(place / "quarantine" / Path(made.path).name)
    assert {each.reason for each in quarantine.waiting(settings)} == {"no", quarantine.UNTOLD}
    assert [retrying.retry(client, each).outcome for each in quarantine.waiting(settings)] == [DELIVERED] * 2
    assert quarantine.waiting(settings) == []


def test_what_was_never_a_runs_is_shown_and_never_sent(place, settings, portal, client):
    place.mkdir()
    (place / "noname.spool").write_text("x")
    os.mkfifo(place / f"{new_run_id()}.w-1.spool")
    assert files.spool_files(str(place)) == []
    foreign = quarantine.waiting(settings)
    assert {(each.is_of_a_run, each.reason) for each in foreign} == {(False, quarantine.FOREIGN)}
    assert [retrying.retry(client, each).outcome for each in foreign] == [QUARANTINE] * 2
    assert portal.requests() == []


def test_the_newest_is_kept_within_the_bound_and_what_goes_is_counted_and_told(place, settings, monkeypatch, caplog):
    monkeypatch.setattr(quarantine, "MAX_BYTES", 2500)
    for number in range(10):
        made = place / f"{run_id_of(begun(place))}.w-{number}.spool"
        made.write_bytes(b"x" * 1000)
        os.utime(made, (number, number))
        quarantine.set_aside(str(made), "no")
    assert sorted(each.writer for each in quarantine.waiting(settings)) == ["w-7", "w-8", "w-9"]
    assert (quarantine.removed(settings), len(caplog.records)) == (7, 1)
    assert len(list((place / "quarantine").iterdir())) == 7, "three files, three reasons, and the count"


def test_without_room_on_the_disk_nothing_is_taken_out_of_the_spool(place, settings, monkeypatch):
    made = whole(place)
    (place / "quarantine").write_text("a file in the place of the folder")
    quarantine.set_aside(made.path, REASON)
    assert Path(made.path).exists()
    with pytest.raises(OSError, match="quarantine"):
        quarantine.keep(str(place), new_run_id(), "w-1", (1, 1), REASON, [], "")


def test_what_is_discarded_is_gone_with_all_that_belongs_to_it(place, settings, portal):
    made = whole(place)
    Path(made.path).with_suffix(".sent").write_text("x")
    quarantine.set_aside(made.path, REASON, portal.url)
    for each in quarantine.waiting(settings):
        quarantine.discard(each)
    assert list((place / "quarantine").iterdir()) == []
