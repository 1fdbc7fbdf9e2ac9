"""A spool file gets another portal, while other processes may want the same."""

import os
from pathlib import Path

from tests.agent.spooling import whole
from traceml_agent.delivery import readdress as module
from traceml_agent.delivery.readdress import portal_of, readdress
from traceml_agent.spool import recording

ONE, OTHER = "http://127.0.0.1:1", "http://127.0.0.1:22222"


def records_of(path) -> list[str]:
    return [record["type"] if record else "damaged" for _, record in recording.read(path)]


def test_a_file_is_for_another_portal_and_keeps_its_records_and_its_age(place):
    path = whole(place, updates=3).path
    os.utime(path, (1e9, 1e9))
    assert readdress(path, ONE)
    assert (portal_of(path), Path(path).stat().st_mtime) == (ONE, 1e9)
    assert records_of(path) == ["header", "update", "update", "update", "finish"]


def test_one_who_read_the_header_before_another_replaced_it_leaves_that_file_alone(place, monkeypatch):
    path = whole(place, updates=3).path
    monkeypatch.setattr(module.Sent, "_lock", lambda sent: True)  # a file system without locks
    copy = module._copy

    def late(*arguments):
        monkeypatch.setattr(module, "_copy", copy)
        assert readdress(path, OTHER)
        copy(*arguments)

    monkeypatch.setattr(module, "_copy", late)
    assert readdress(path, ONE)
    assert portal_of(path) == OTHER
    assert records_of(path) == ["header", "update", "update", "update", "finish"]


def test_the_draft_of_a_process_that_was_killed_goes(place):
    path = whole(place).path
    left = place / (Path(path).name + ".00000000.draft")
    left.write_bytes(b"half")
    assert readdress(path, ONE)
    assert not left.exists()
