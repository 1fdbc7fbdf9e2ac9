"""`traceml-agent sync`: what waits, for which address, what is set aside and why; 0 only if nothing is left."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.agent.spooling import begun, energies, expected, left_in, run_id_of, update, whole
from tests.fakes.portal import FakePortal
from traceml_agent import cli
from traceml_agent.commands import sync
from traceml_agent.delivery import sync_round
from traceml_agent.delivery.delivery import Delivery
from traceml_agent.delivery.readdress import is_for
from traceml_agent.spool import quarantine, recording

WRONG = "http://127.0.0.1:9"


@pytest.fixture
def configured(settings, monkeypatch):
    """The fake portal's address and token in the environment."""
    monkeypatch.setenv("TRACEML_AGENT_URL", settings.url)
    monkeypatch.setenv("TRACEML_AGENT_TOKEN", settings.token)
    monkeypatch.setenv("TRACEML_AGENT_SPOOL_DIR", settings.spool_dir)


@pytest.fixture
def run_sync(configured, capsys):
    """Run the command; its status, what it printed, and what it complained of."""

    def call(*words):
        status = cli.main(["sync", *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def test_with_nothing_in_the_spool_nothing_waits(run_sync):
    assert run_sync() == (0, "Nothing is waiting in the spool.\n", "")
    assert run_sync("--json") == (0, "{}\n", "")


def test_runs_for_a_mistyped_address_are_told_and_stay(run_sync, place, portal, settings):
    for _ in range(2):
        whole(place, portal=WRONG)
    status, out, _ = run_sync()
    assert status == 1
    assert (
        f"2 runs are waiting for {WRONG}, another address. Send to {settings.url} with `traceml-agent sync --all`."
        in out
    )
    assert (portal.requests(), len(left_in(place))) == ([], 2)


def test_all_sends_them_here_after_saying_so(run_sync, place, portal, settings):
    made = whole(place, portal=WRONG)
    status, out, _ = run_sync("--all")
    assert out.splitlines() == [
        f"Sending 1 run recorded for {WRONG} to {settings.url}.",
        f"{run_id_of(made)}  delivered",
    ]
    assert (status, energies(portal.runs()[run_id_of(made)]), left_in(place)) == (0, expected(3), [])


def test_what_another_portal_has_of_a_run_arrives_here_as_well(run_sync, place, portal, settings, tmp_path, client):
    """A part of the run was acknowledged elsewhere before."""
    (tmp_path / "other").mkdir()
    with FakePortal(tmp_path / "other") as other:
        made = begun(place, portal=other.url)
        made.append("update", update(1))
        there = sync.config.load(url=other.url, token=other.token, spool_dir=settings.spool_dir)
        from traceml_agent.delivery.client import Client

        Delivery(made.path).deliver(Client(there))
        assert energies(other.runs()[run_id_of(made)]) == expected(1)
    made.append("update", update(2))
    made.close()
    assert run_sync("--all")[0] == 0
    assert energies(portal.runs()[run_id_of(made)]) == expected(2)


def test_a_run_sent_to_another_address_belongs_to_this_one_from_then_on(run_sync, place, portal, settings):
    made = whole(place, portal=WRONG, updates=30)
    content = [record for _, record in recording.read(made.path)]
    portal.mode("503", only="/batches/")
    assert run_sync("--all")[0] == 1
    assert is_for(made.path, settings)
    assert [record for _, record in recording.read(made.path)][1:] == content[1:]
    portal.mode("ok")
    assert run_sync()[0] == 0
    assert energies(portal.runs()[run_id_of(made)]) == expected(30)


@pytest.mark.parametrize("mode", ["401", "503"])
def test_no_run_changes_its_portal_while_that_takes_nothing(run_sync, place, portal, mode):
    files = [whole(place, portal=address).path for address in (WRONG, "", WRONG)]
    before = [Path(file).read_bytes() for file in files]
    portal.mode(mode)
    assert run_sync("--all")[0] == 1
    assert ([Path(file).read_bytes() for file in files], len(portal.requests())) == (before, 1)


def test_what_is_damaged_in_a_run_for_another_address_costs_no_more_than_elsewhere(run_sync, place, portal):
    made = whole(place, portal=WRONG, updates=3)
    lines = Path(made.path).read_bytes().splitlines(keepends=True)
    Path(made.path).write_bytes(b"".join([lines[0], b"damaged\n", *lines[1:]]))
    assert run_sync("--all")[0] == 1
    assert energies(portal.runs()[run_id_of(made)]) == expected(3)


def test_runs_recorded_without_a_portal_are_told_and_sent_because_it_was_asked(run_sync, place, portal, settings):
    made = whole(place, portal="")
    status, out, _ = run_sync()
    assert out.startswith(f"Sending 1 run recorded without a portal to {settings.url}.\n")
    assert (status, set(portal.runs())) == (0, {run_id_of(made)})


def test_the_list_sends_nothing_and_says_how(run_sync, place, portal, settings):
    whole(place, portal=settings.url)
    whole(place, portal="")
    begun(place, portal=settings.url)
    status, out, _ = run_sync("--list")
    assert out.splitlines() == [
        f"1 run is waiting for {settings.url}.",
        f"1 run was recorded without a portal. Send to {settings.url} with `traceml-agent sync`.",
        "1 run is in progress.",
    ]
    assert (status, portal.requests()) == (1, [])


def test_files_of_one_run_count_as_one_run(run_sync, place, settings):
    made = whole(place, portal=settings.url)
    whole(place, portal=settings.url, run_id=run_id_of(made), writer="w-2")
    assert f"1 run is waiting for {settings.url}." in run_sync("--list")[1]


def test_a_run_still_under_way_waits_for_nothing(run_sync, place, settings, portal):
    made = begun(place, portal=settings.url)
    status, out, _ = run_sync()
    assert (status, out) == (0, "1 run is in progress.\nNothing is waiting in the spool.\n")
    assert made.append("update", update(1)), "its file is as it was"
    assert set(portal.runs()) == {run_id_of(made)}, "what it has recorded by now is sent"


def test_a_run_under_way_for_another_address_is_not_taken_from_its_process(run_sync, place, portal):
    made = begun(place, portal=WRONG)
    assert run_sync("--all")[0] == 0
    made.append("update", update(1))
    assert (portal.requests(), len(list(recording.read(made.path)))) == ([], 2)


def test_without_a_portal_what_waits_is_told_and_how_to_set_one(run_sync, place, monkeypatch):
    whole(place, portal=WRONG)
    whole(place, portal="")
    monkeypatch.delenv("TRACEML_AGENT_URL")
    status, out, err = run_sync()
    assert out.splitlines() == ["1 run was recorded without a portal.", f"1 run is waiting for {WRONG}."]
    assert (status, "traceml-agent login" in err, err.count("\n")) == (1, True, 1)


def test_with_an_address_that_is_none_what_waits_is_told_beside_the_fault(run_sync, place, monkeypatch):
    whole(place, portal=WRONG)
    monkeypatch.setenv("TRACEML_AGENT_URL", "htps://traceml.example")
    status, out, err = run_sync("--all")
    assert (status, f"1 run is waiting for {WRONG}" in out, "must look like https://" in err) == (1, True, True)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("503", "waiting: mode 503"),
        ("401", "waiting, because the portal refuses uploads: mode 401"),
        ("captive", "waiting: "),
    ],
)
def test_a_portal_that_takes_nothing_is_asked_once_and_its_words_are_shown(
    run_sync, place, portal, settings, mode, words
):
    for _ in range(3):
        whole(place, portal=settings.url)
    portal.mode(mode)
    status, out, _ = run_sync()
    assert (status, len(portal.requests())) == (1, 1)
    assert words in out
    assert f"3 runs are waiting for {settings.url}." in out


def test_what_the_portal_refuses_is_told_in_its_words_until_it_passes(run_sync, place, portal, settings):
    made = whole(place, portal=settings.url)
    portal.mode("422", only="/batches/")
    status, out, _ = run_sync()
    assert (status, "refused and set aside: mode 422" in out) == (1, True)
    assert f"{run_id_of(made)} (3 records): set aside on " in out
    assert run_sync()[0] == 1, "refused again"
    portal.mode("ok")
    status, out, _ = run_sync()
    assert (status, out) == (0, f"{run_id_of(made)}  3 records, set aside earlier: delivered\n")
    assert energies(portal.runs()[run_id_of(made)]) == expected(3)


def test_a_run_set_aside_whole_is_delivered_once_it_passes(run_sync, place, portal, settings):
    made = whole(place, portal=settings.url)
    quarantine.set_aside(made.path, "params: must have at most 16 KiB", settings.url)
    assert "params: must have at most 16 KiB" in run_sync("--list")[1]
    assert run_sync()[0] == 0
    assert energies(portal.runs()[run_id_of(made)]) == expected(3)


def test_what_another_portal_refused_is_tried_here_with_all_alone(run_sync, place, portal, settings):
    made = whole(place, portal=WRONG)
    quarantine.set_aside(made.path, "no", WRONG)
    assert (run_sync()[0], portal.requests()) == (1, [])
    assert run_sync("--all")[0] == 0
    assert energies(portal.runs()[run_id_of(made)]) == expected(3)


def test_what_is_refused_again_can_be_discarded(run_sync, place, portal, settings):
    whole(place, portal=settings.url)
    portal.mode("422", only="/batches/")
    assert run_sync("--discard")[0] == 1, "what is refused for the first time stays"
    status, out, _ = run_sync("--discard")
    assert (status, "discarded: mode 422" in out) == (0, True)
    assert run_sync() == (0, "Nothing is waiting in the spool.\n", "")


def test_what_was_never_a_runs_is_shown_and_keeps_nothing_waiting(run_sync, place):
    place.mkdir()
    (place / "noname.spool").write_text("x")
    status, out, _ = run_sync()
    assert (status, "noname.spool" in out) == (0, True)


def test_a_run_deleted_on_the_portal_is_told_and_waits_no_more(run_sync, place, portal, settings):
    made = whole(place, portal=settings.url)
    portal.mode("410")
    assert run_sync()[:2] == (0, f"{run_id_of(made)}  deleted on the portal: mode 410\n")


def test_json_has_counts_and_lists_of_what_is_left(run_sync, place, portal, settings):
    whole(place, portal=settings.url)
    refused = whole(place, portal=settings.url)
    other = whole(place, portal=WRONG)
    living = begun(place, portal=settings.url)
    portal.mode("422", only=f"{run_id_of(refused)}/batches/")
    status, out, _ = run_sync("--json")
    found = json.loads(out)
    assert (status, found["delivered"], found["quarantine"], found["other portal"]) == (1, 1, 1, 1)
    assert [(each["run_id"], each["portal"]) for each in found["waiting"]] == [(run_id_of(other), WRONG)]
    assert [(each["run_id"], each["reason"]) for each in found["set aside"]] == [(run_id_of(refused), "mode 422")]
    assert [each["run_id"] for each in found["under way"]] == [run_id_of(living)]


def test_json_of_a_portal_that_fails_has_the_reason_beside_each_run(run_sync, place, portal, settings):
    whole(place, portal=settings.url)
    portal.mode("503")
    status, out, _ = run_sync("--json")
    assert (status, [each["reason"] for each in json.loads(out)["waiting"]]) == (1, ["mode 503"])


def test_two_at_once_both_end_with_0_when_all_is_delivered(configured, place, portal, settings):
    runs = {run_id_of(whole(place, portal=settings.url, updates=40)) for _ in range(6)}
    for _ in range(4):
        made = whole(place, portal=settings.url)
        quarantine.set_aside(made.path, "no", settings.url)
        runs.add(run_id_of(made))
    words = [sys.executable, "-m", "traceml_agent", "sync"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], said
    assert set(portal.runs()) == runs
    assert (left_in(place), list((place / "quarantine").iterdir())) == ([], [])


def test_a_file_that_another_process_has_in_hand_is_waited_for(run_sync, place, portal, settings):
    made = whole(place, portal=settings.url)
    other = Delivery(made.path)

    def hold():
        with other._sent.locked():
            held.set()
            time.sleep(1.0)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    assert run_sync()[0] == 0
    holder.join()
    assert set(portal.runs()) == {run_id_of(made)}


def test_a_process_that_has_a_file_in_hand_and_gets_no_further_is_not_waited_for_for_ever(
    run_sync, place, settings, monkeypatch
):
    made = whole(place, portal=settings.url)
    monkeypatch.setattr(sync_round, "STALLED_S", 0.5)
    with Delivery(made.path)._sent.locked():
        status, out, _ = run_sync()
    assert (status, "waiting: another process is delivering it" in out) == (1, True)


def test_a_file_of_a_newer_version_waits_for_an_agent_that_understands_it(run_sync, place, portal, settings):
    made = whole(place, portal=settings.url)
    lines = Path(made.path).read_bytes().splitlines(keepends=True)
    newer = [recording.encode(recording.decode(line) | {"v": 2}) for line in lines]
    Path(made.path).write_bytes(b"".join(newer))
    assert run_sync()[0] == 1
    (kept,) = (place / "quarantine").glob("*.spool")
    kept.write_bytes(b"".join(lines))  # in the place of an agent that reads it
    assert run_sync()[0] == 0
    assert energies(portal.runs()[run_id_of(made)]) == expected(3)


def test_a_portal_that_asks_to_wait_gets_everything_after_that(run_sync, place, portal):
    """429, where more was sent than it takes in a minute: nothing is lost, nothing is sent before its time."""
    made = [whole(place, portal=portal.url) for _ in range(3)]
    portal.mode("429:1", times=2)
    began = time.monotonic()
    status, out, _ = run_sync()
    assert status == 0
    assert time.monotonic() - began >= 2
    assert out.count("The portal asks to wait 1 s: mode 429:1") == 1
    assert out.count("delivered") == len(made)
    assert left_in(place) == []


def test_one_that_takes_something_now_and_then_is_waited_for_longer_than_one_that_takes_nothing(
    run_sync, place, portal, monkeypatch
):
    monkeypatch.setattr(sync_round, "PATIENCE_S", 2.0)
    whole(place, portal=portal.url)
    portal.mode("429:1")
    began = time.monotonic()
    status, out, _ = run_sync()
    assert status == 1
    assert any(name.endswith(".spool") for name in left_in(place))
    assert 2 <= time.monotonic() - began < 30
    assert "waiting: mode 429:1" in out
    portal.mode("ok")
    assert run_sync()[0] == 0


@pytest.mark.parametrize("mode", ["429:3600", "429:x", "429"])
def test_nobody_sits_before_one_that_asks_for_an_hour_or_for_no_time(run_sync, place, portal, mode):
    whole(place, portal=portal.url)
    portal.mode(mode)
    began = time.monotonic()
    assert run_sync()[0] == 1
    assert time.monotonic() - began < 60
    assert any(name.endswith(".spool") for name in left_in(place))
