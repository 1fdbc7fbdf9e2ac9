"""Damaged, hostile and full: all that is whole arrives, the rest is kept aside, and nothing else is harmed."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.spooling import begun, energies, expected, left_in, quarantined, run_id_of, update, whole
from traceml_agent.commands.sync import sync
from traceml_agent.delivery.client import BUSY, DELIVERED, QUARANTINE
from traceml_agent.delivery.delivery import Delivery
from traceml_agent.spool import recording

HURT = {
    "random bytes": lambda lines: [lines[0], os.urandom(5000) + b"\n", *lines[1:]],
    "zero tail": lambda lines: [*lines, b"\0" * 8192],
    "torn tail": lambda lines: [*lines, lines[1][:30]],
    "zeros between": lambda lines: [lines[0], b"\0" * 4096 + b"\n", *lines[1:]],
    "unknown version": lambda lines: [
        lines[0],
        recording.encode({"v": 9, "n": 7, "type": "update", "body": {}}),
        *lines[1:],
    ],
    "huge line": lambda lines: [lines[0], b"x" * (recording.MAX_LINE_BYTES + 99) + b"\n", *lines[1:]],
    "hostile types": lambda lines: [
        lines[0],
        recording.encode({"v": 1, "n": 50, "type": "header", "body": []}),
        recording.encode({"v": 1, "n": -3, "type": "update", "body": {}}),
        recording.encode({"v": 1, "n": 51, "type": "update", "body": {"samples": "none"}}),
        *lines[1:],
    ],
}


@pytest.mark.parametrize("hurt", HURT.values(), ids=HURT)
def test_of_a_damaged_file_all_that_is_whole_arrives_and_the_rest_is_kept_aside(place, client, portal, hurt):
    made = whole(place, updates=5)
    path = Path(made.path)
    path.write_bytes(b"".join(hurt(path.read_bytes().splitlines(keepends=True))))
    damaged = path.read_bytes()
    assert Delivery(made.path).deliver(client).outcome == QUARANTINE
    run = portal.runs()[run_id_of(made)]
    assert (energies(run), len(run["finishes"]), left_in(place)) == (expected(5), 1, [])
    assert (place / "quarantine" / path.name).read_bytes() == damaged


@pytest.mark.parametrize("lost", range(1, 6))
def test_a_damaged_record_costs_that_record_alone(place, client, portal, lost):
    made = whole(place, updates=5)
    lines = Path(made.path).read_bytes().splitlines(keepends=True)
    lines[lost] = lines[lost][:40] + b"?" + lines[lost][41:]
    Path(made.path).write_bytes(b"".join(lines))
    Delivery(made.path).deliver(client)
    assert energies(portal.runs()[run_id_of(made)]) == [joules for joules in expected(5) if joules != 1000.0 * lost]


def test_records_without_a_header_arrive_where_the_portal_knows_the_run(place, client, portal):
    known, unknown = whole(place), whole(place)
    client.put_run(run_id_of(known), {"model": "m", "started_at": "2026-01-01T00:00:00Z"})
    for made in (known, unknown):
        lines = Path(made.path).read_bytes().splitlines(keepends=True)
        Path(made.path).write_bytes(b"".join([b"?" + lines[0], *lines[1:]]))
    assert Delivery(unknown.path).deliver(client).outcome == QUARANTINE
    assert Delivery(known.path).deliver(client).outcome == QUARANTINE
    assert energies(portal.runs()[run_id_of(known)]) == expected(3)
    assert set(quarantined(place)) == {Path(made.path).name for made in (known, unknown)}


def test_numbers_far_apart_do_no_harm(place, client, portal):
    made = begun(place)
    made.close()
    with Path(made.path).open("ab") as file:
        for n in (2**52, 3, 2**40, 1):
            file.write(recording.encode({"v": 1, "n": n, "type": "update", "body": update(1)}))
    assert Delivery(made.path).deliver(client).outcome == DELIVERED
    assert len(energies(portal.runs()[run_id_of(made)])) == 4


SIDECARS = [
    os.urandom(3000),
    b"[" * 3000,
    b'00000000 {"batch": [0, 999999999999]}\n',
    *map(recording.sealed, (b'{"ack": [5, 1]}', b'{"batch": ["a", {}]}', b'{"x": 1}', b"7", b"[" * 90)),
]


@pytest.mark.parametrize("content", SIDECARS)
def test_a_hostile_record_of_what_was_sent_loses_nothing(place, client, portal, content):
    made = whole(place)
    Path(made.path).with_suffix(".sent").write_bytes(content)
    assert Delivery(made.path).deliver(client).outcome in (DELIVERED, QUARANTINE)
    stored = portal.runs().get(run_id_of(made), {"samples": []})
    assert energies(stored) == expected(3)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_what_bars_one_file_does_not_bar_the_others(place, settings, portal, make):
    barred, free = whole(place), whole(place)
    make(Path(barred.path).with_suffix(".sent"))
    assert sync(settings) == {BUSY: 1, DELIVERED: 1}
    assert set(portal.runs()) == {run_id_of(free)}


FULL_DISK = """
import resource, sys
from pathlib import Path
from traceml_agent.inputs import config
from traceml_agent.delivery import delivery
from traceml_agent.delivery.client import Client
settings = config.load(url=sys.argv[1], token=sys.argv[2], spool_dir=sys.argv[3])
(path,) = Path(sys.argv[3]).glob("*.spool")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in (10, 40, 70, 100, 130, hard):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    print(delivery.Delivery(str(path)).deliver(Client(settings)).outcome)
"""


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY, reason="a limit is set")
def test_without_room_to_note_what_was_sent_it_waits_and_then_sends_once(place, portal):
    made = whole(place, updates=20)
    command = [sys.executable, "-c", FULL_DISK, portal.url, portal.token, str(place)]
    outcomes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert (outcomes[0], outcomes[-1]) == (BUSY, DELIVERED)
    assert energies(portal.runs()[run_id_of(made)]) == expected(20)
