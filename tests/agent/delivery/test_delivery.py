"""From spool files to the portal: each run exactly once, whatever fails on the way."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests import wire
from tests.agent.spooling import (
    begun,
    energies,
    expected,
    finish,
    left_in,
    new_run_id,
    quarantined,
    run_id_of,
    update,
    whole,
)
from traceml_agent.commands.sync import sync
from traceml_agent.delivery import delivery, sent
from traceml_agent.delivery.client import BUSY, DELIVERED, GONE, HELD, QUARANTINE, RETRY, STOP
from traceml_agent.delivery.delivery import Delivery
from traceml_agent.delivery.sent import Sent
from traceml_agent.spool import recording


def test_a_run_arrives_in_three_requests_and_its_file_goes(place, client, portal):
    made = whole(place, updates=3)
    assert Delivery(made.path).deliver(client).outcome == DELIVERED
    run = portal.runs()[run_id_of(made)]
    assert energies(run) == expected(3)
    assert run["finishes"][0]["samples"] == update(3)["samples"]
    assert (len(portal.requests()), left_in(place)) == (3, [])


def test_every_request_names_the_writer_and_when_it_started(place, client, portal):
    made = whole(place)
    Delivery(made.path).deliver(client)
    bodies = [request["body"] for request in portal.requests()]
    assert {body["writer"] for body in bodies} == {"w-1"}
    assert len({body["writer_started_at"] for body in bodies}) == 1


def test_the_portal_that_a_run_is_for_is_no_business_of_the_portals(place, client, portal, settings):
    Delivery(whole(place, portal=settings.url).path).deliver(client)
    assert "portal" not in portal.requests()[0]["body"]


def test_a_short_run_that_was_announced_at_once_costs_no_more(place, client, portal):
    made = begun(place)
    made.append("update", update(1))
    sending = Delivery(made.path)
    sending.deliver(client, header_only=True)
    assert len(portal.requests()) == 1
    made.append("update", update(2))
    made.append("finish", finish(2))
    sending.deliver(client)
    assert (len(portal.requests()), energies(portal.runs()[run_id_of(made)])) == (3, expected(2))


def test_a_living_run_is_delivered_as_it_grows(place, client, portal):
    made = begun(place)
    sending = Delivery(made.path)
    for number in range(1, 5):
        made.append("update", update(number))
        assert sending.deliver(client).outcome == DELIVERED
        assert energies(portal.runs()[run_id_of(made)]) == expected(number)
    assert Path(made.path).exists()


def test_the_rest_of_a_dead_run_is_delivered_and_its_file_goes(place, client, portal):
    made = begun(place)
    sending = Delivery(made.path)
    sending.deliver(client)
    made.append("update", update(1))
    made.close()
    sending.deliver(client)
    assert (energies(portal.runs()[run_id_of(made)]), left_in(place)) == (expected(1), [])


def test_the_spool_is_on_disk_before_it_is_sent(place, client, portal, monkeypatch):
    made = whole(place)
    synced = []
    real = os.fdatasync
    monkeypatch.setattr(
        os,
        "fdatasync",
        lambda descriptor: (synced.append((os.fstat(descriptor).st_ino, len(portal.requests()))), real(descriptor)),
    )
    inode = Path(made.path).stat().st_ino
    Delivery(made.path).deliver(client)
    assert synced[0] == (inode, 0)


def test_what_was_stored_but_never_answered_is_stored_once(place, client, portal):
    made = begun(place)
    sending = Delivery(made.path)
    sending.deliver(client)
    made.append("update", update(1))
    portal.mode("drop", times=1)
    assert sending.deliver(client).outcome == RETRY
    made.append("update", update(2))  # the repeat must not take it along
    made.append("finish", finish(2))
    made.close()
    Delivery(made.path).deliver(client)  # as after a crash: only the disk remembers
    run = portal.runs()[run_id_of(made)]
    assert (energies(run), len(run["batches"])) == (expected(2), 2)


def test_every_answer_may_get_lost(place, client, portal):
    made = whole(place)
    for _ in range(3):
        portal.mode("drop", times=1)
        assert Delivery(made.path).deliver(client).outcome == RETRY
    assert Delivery(made.path).deliver(client).outcome == DELIVERED
    run = portal.runs()[run_id_of(made)]
    assert (energies(run), left_in(place)) == (expected(3), [])
    assert len(portal.requests()) == 6, "what was acknowledged is not sent again"


@pytest.mark.parametrize("seed", range(100))
def test_exactly_once_through_any_sequence_of_faults(place, client, portal, seed):
    chance = random.Random(seed)
    made, sending, written = begun(place), None, 0
    for _ in range(25):
        for _ in range(chance.randrange(4)):
            written += 1
            made.append("update", update(written))
        portal.mode(chance.choice(["ok", "drop", "drop", "503", "unknown", "captive"]), times=chance.randrange(3))
        if sending is None or chance.random() < 0.5:
            sending = Delivery(made.path)
        sending.deliver(client)
    made.append("finish", finish(written))
    made.close()
    portal.mode("ok")
    assert Delivery(made.path).deliver(client).outcome == DELIVERED
    assert energies(portal.runs()[run_id_of(made)]) == expected(written)


SYNC = """
import sys
from traceml_agent.inputs import config
from traceml_agent.delivery import sent
from traceml_agent.spool import files
from traceml_agent.commands.sync import sync
if sys.argv[4] == "unlocked":
    sent.fcntl = files.fcntl = None
    files.ABANDONED_S = -1.0
settings = config.load(url=sys.argv[1], token=sys.argv[2], spool_dir=sys.argv[3])
for _ in range(3):
    sync(settings)
"""


@pytest.mark.parametrize("locks", ["locked", "unlocked"])
def test_several_at_once_on_one_folder_deliver_each_run_once(place, portal, locks):
    runs = {run_id_of(whole(place, updates=40)) for _ in range(8)}
    command = [sys.executable, "-c", SYNC, portal.url, portal.token, str(place), locks]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    subprocess.run(command, check=True)  # where all four stood in each other's way, the next one has it
    stored = portal.runs()
    assert set(stored) == runs
    assert all(energies(run) == expected(40) for run in stored.values())
    assert (left_in(place), quarantined(place)) == ([], [])


def test_of_two_plans_the_one_that_was_written_first_holds_for_both(tmp_path, monkeypatch):
    monkeypatch.setattr(sent, "fcntl", None)
    one, other = Sent(str(tmp_path / "a.spool")), Sent(str(tmp_path / "a.spool"))
    with one.locked(), other.locked():
        one.plan([(1, 5)])
        other.plan([(0, 0), (1, 7)])
        assert [other.batch_of(n) for n in (0, 1, 5, 6)] == [(0, 0), (1, 5), (1, 5), None]
        other.plan([(6, 7)])
        one.plan([(6, 9)])
        assert [one.batch_of(n) for n in (0, 7, 8)] == [(0, 0), (6, 7), None]


def test_plans_that_overlap_are_settled_by_who_was_first(place, portal, settings, client):
    """Two without locks: one has planned less than the other saw."""
    made = begun(place)
    made.append("update", update(1))
    first, second = Delivery(made.path), Delivery(made.path)
    portal.mode("503", only="batches")
    first.deliver(client)
    made.append("update", update(2))
    made.append("update", update(3))
    second.deliver(client)
    portal.mode("ok")
    second.deliver(client)
    first.deliver(client)
    assert energies(portal.runs()[run_id_of(made)]) == expected(3)


def test_batches_stay_within_the_portals_limits(place, client, portal):
    made = begun(place)
    for number in range(1, 13):
        metrics = [{"t_s": 1.0, "name": "loss", "value": 0.5}] * 400
        made.append("update", update(number, metrics=metrics))
    made.append("finish", finish(12))
    Delivery(made.path).deliver(client)
    run = portal.runs()[run_id_of(made)]
    assert energies(run) == expected(12)
    assert [len(body["metrics"]) for body in run["batches"].values()] == [800] * 6


def test_a_long_backlog_is_read_in_slices(place, client, portal, monkeypatch):
    made = whole(place, updates=500)
    monkeypatch.setattr(delivery, "SLICE_BYTES", 5_000)
    monkeypatch.setattr(delivery, "MAX_BATCH_ROWS", 30)
    sending = Delivery(made.path)
    most = []
    real = sending._fill
    monkeypatch.setattr(sending, "_fill", lambda: (real(), most.append(len(sending._pending)))[0])
    assert sending.deliver(client).outcome == DELIVERED
    assert energies(portal.runs()[run_id_of(made)]) == expected(500)
    assert max(most) < 100


def test_of_devices_stages_and_calls_a_batch_has_the_latest(place, client, portal):
    made = begun(place)
    for number in (1, 2):
        stage = {"id": "1", "name": "epoch 1", "start_s": 0.0, "end_s": [None, 9.0][number - 1]}
        made.append("update", update(number, stages=[stage], calls=[{"method": "predict", "calls": number}]))
    Delivery(made.path).deliver(client)
    (batch,) = portal.runs()[run_id_of(made)]["batches"].values()
    assert [stage["end_s"] for stage in batch["stages"]] == [9.0]
    assert [call["calls"] for call in batch["calls"]] == [2]
    assert batch["devices"] == [wire.A100]


@pytest.mark.parametrize("status", [400, 409, 411, 413, 415, 422])
def test_a_refused_batch_goes_to_quarantine_and_the_rest_arrives(place, client, portal, status):
    made = begun(place)
    sending = Delivery(made.path)
    made.append("update", update(1))
    portal.mode(str(status), only="batches")
    answer = sending.deliver(client)
    portal.mode("ok")
    made.append("update", update(2))
    made.append("finish", finish(2))
    assert (answer.outcome, sending.deliver(client).outcome) == (QUARANTINE, DELIVERED)
    run = portal.runs()[run_id_of(made)]
    assert (energies(run), len(run["finishes"]), left_in(place)) == (expected(2, first=2), 1, [])
    (name,) = quarantined(place)
    kept = json.loads((place / "quarantine" / name).read_text())
    assert kept["records"][0]["body"]["samples"] == update(1)["samples"]
    assert f"mode {status}" in kept["reason"]


def test_what_is_refused_and_cannot_be_set_aside_stays_and_holds_nothing_else_up(place, client, portal):
    made = begun(place)
    made.append("update", update(1))
    made.append("finish", finish(1))
    made.close()
    (place / "quarantine").write_text("in the way")
    portal.mode("422", only="batches")
    sending = Delivery(made.path)
    assert sending.deliver(client).outcome == BUSY
    assert "can't be set aside" in sending.trouble
    assert len(portal.runs()[run_id_of(made)]["finishes"]) == 1, "the rest arrived"
    assert Path(made.path).name in left_in(place)
    (place / "quarantine").unlink()
    portal.mode("ok")
    assert sending.deliver(client).outcome == DELIVERED
    assert (energies(portal.runs()[run_id_of(made)]), left_in(place)) == (expected(1), [])


def test_a_run_whose_header_is_refused_is_held_back_while_it_lives_and_then_set_aside_whole(place, client, portal):
    made = begun(place)
    made.append("update", update(1))
    portal.mode("422")
    sending = Delivery(made.path)
    assert sending.deliver(client).outcome == HELD
    assert made.append("update", update(2))
    made.close()
    assert sending.deliver(client).outcome == QUARANTINE
    assert (sending.done, left_in(place)) == (True, [])
    name = next(name for name in quarantined(place) if name.endswith(".spool"))
    kept = [record["n"] for _, record in recording.read(str(place / "quarantine" / name))]
    assert kept[:3] == [0, 1, 2]


def test_a_run_that_the_portal_deleted_is_not_taken_from_a_writer_that_lives(place, client, portal):
    made = begun(place)
    portal.mode("410")
    sending = Delivery(made.path)
    assert sending.deliver(client).outcome == GONE
    assert sending.done
    assert Path(made.path).exists()


def test_a_run_that_died_without_a_word_gets_its_end(place, client, portal):
    made = begun(place)
    made.append("update", update(1))
    made.close()
    assert Delivery(made.path).deliver(client).outcome == DELIVERED
    (finish,) = portal.runs()[run_id_of(made)]["finishes"]
    assert (finish["status"], finish["exception"]) == ("stopped", "ended without a status")
    assert left_in(place) == []


def test_a_run_that_the_portal_deleted_is_dropped(place, client, portal):
    made = whole(place)
    portal.mode("410", only="batches")
    assert Delivery(made.path).deliver(client).outcome == GONE
    assert (left_in(place), quarantined(place)) == ([], [])


def test_a_portal_that_forgot_the_run_is_told_again(place, client, portal):
    made = begun(place)
    sending = Delivery(made.path)
    sending.deliver(client)
    made.append("update", update(1))
    portal.mode("unknown", times=1)
    assert sending.deliver(client).outcome == DELIVERED
    run = portal.runs()[run_id_of(made)]
    assert (len(run["headers"]), energies(run)) == (2, expected(1))


@pytest.mark.parametrize("only", ["batches", "runs"])
def test_a_portal_that_never_knows_the_run_is_not_asked_for_ever(place, client, portal, only):
    made = whole(place)
    portal.mode("unknown", only=only)
    assert Delivery(made.path).deliver(client).outcome == RETRY
    assert (len(portal.requests()) <= 4, Path(made.path).exists()) == (True, True)


@pytest.mark.parametrize(
    ("mode", "outcome"), [("401", STOP), ("403", STOP), ("404", STOP), ("503", RETRY), ("captive", RETRY)]
)
def test_a_portal_that_takes_nothing_leaves_the_spool_as_it_is(place, client, portal, mode, outcome):
    made = whole(place)
    portal.mode(mode)
    assert Delivery(made.path).deliver(client).outcome == outcome
    portal.mode("ok")
    Delivery(made.path).deliver(client)
    assert energies(portal.runs()[run_id_of(made)]) == expected(3)


def test_a_silent_run_is_announced_again(place, client, portal):
    made = begun(place)
    sending = Delivery(made.path)
    sending.deliver(client, silence_s=60.0)
    sending.deliver(client, silence_s=60.0)
    assert len(portal.requests()) == 1
    sending.deliver(client, silence_s=0.0)
    assert len(portal.runs()[run_id_of(made)]["headers"]) == 2


def test_sync_delivers_all_and_counts(place, settings, portal):
    runs = {run_id_of(whole(place, portal=of)) for of in ("", settings.url, settings.url.upper())}
    whole(place, portal="https://elsewhere.example")
    assert sync(settings) == {"other portal": 1, DELIVERED: 3}
    assert set(portal.runs()) == runs


def test_sync_looks_in_every_place_that_a_spool_may_lie_in(place, settings, portal, home):
    earlier = whole(home / ".local" / "state" / "traceml")
    whole(place)
    sync(settings)
    assert run_id_of(earlier) in portal.runs()


def test_sync_does_not_try_every_file_of_a_portal_that_is_down(place, settings, portal):
    for _ in range(3):
        whole(place)
    portal.mode("503")
    assert sync(settings) == {RETRY: 1, "not tried": 2}
    assert len(portal.requests()) == 1


def test_a_file_that_another_process_delivers_is_left_to_it(place, client, portal):
    made = whole(place)
    with Delivery(made.path)._sent.locked():
        assert Delivery(made.path).deliver(client).outcome == BUSY
    assert portal.requests() == []


def test_a_file_that_is_gone_is_delivered_and_leaves_no_trace(place, client):
    place.mkdir()
    assert Delivery(str(place / f"{new_run_id()}.w-1.spool")).deliver(client).outcome == DELIVERED
    assert left_in(place) == []


def test_a_file_that_goes_while_its_lock_is_made_leaves_no_lock_behind(place, client, monkeypatch):
    made = whole(place)
    sending = Delivery(made.path)
    real = sending._sent.locked
    monkeypatch.setattr(sending._sent, "locked", lambda: (Path(made.path).unlink(), real())[1])
    assert sending.deliver(client).outcome == DELIVERED
    assert left_in(place) == []
