"""Portals that are down, slow or refuse: nobody waits for them, they are asked politely, and nothing is lost."""

import itertools
import os
import random
import signal
import socket
import time

import pytest

from tests.agent.spooling import begun, is_stored, pid_of, update, whole
from traceml_agent.delivery.channel import Channel
from traceml_agent.delivery.uploader_process import LOOK_AGAIN_S, _UploaderLoop
from traceml_agent.host.endings import Life
from traceml_agent.inputs import config


def test_where_nobody_listens_finish_returns_at_once(place, settings, portal, launch, caplog):
    portal.stop()
    handle = launch(settings)
    handle.own(whole(place).path)
    time.sleep(0.5)
    began = time.monotonic()
    assert not handle.finish(2.0)
    assert time.monotonic() - began < 4.0  # promised: 0.3 s; the rest is for a busy machine
    assert f"{portal.url} does not answer" in caplog.text
    portal.start()


@pytest.mark.parametrize("mode", ["hang", "drip", "503", "huge"])
def test_finish_keeps_to_its_budget_whatever_the_portal_does(place, settings, portal, launch, mode):
    portal.mode(mode)
    handle = launch(settings)
    handle.own(whole(place).path)
    time.sleep(0.5)
    began = time.monotonic()
    assert not handle.finish(1.0)
    assert time.monotonic() - began < 2.5  # the rest is for a busy machine; a timeout of the portal's is longer
    assert list(place.glob("*.spool"))


def test_a_dead_uploader_holds_nobody_up(place, settings, launch):
    handle = launch(settings)
    os.kill(pid_of(handle), signal.SIGKILL)
    began = time.monotonic()
    handle.own(whole(place).path)
    assert not handle.finish(5.0)
    assert time.monotonic() - began < 4.0


def test_a_stopped_uploader_holds_nobody_up(settings, launch):
    handle = launch(settings)
    os.kill(pid_of(handle), signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(20_000):
        handle.own("/some/where/" + "x" * 100)
    assert time.monotonic() - began < 5.0


def test_the_uploader_is_not_held_up_by_a_parent_that_never_reads():
    ours, theirs = socket.socketpair()
    line, began = Channel(ours), time.monotonic()
    with ours, theirs:
        for _ in range(20_000):
            line.send({"warning": "x" * 400})
    assert time.monotonic() - began < 5.0


def test_after_an_outage_the_same_process_delivers_everything(place, settings, portal, launch):
    made = begun(place)
    portal.stop()
    handle = launch(settings)
    handle.own(made.path)
    for number in range(1, 6):
        made.append("update", update(number))
    handle.wake()
    time.sleep(1.0)
    portal.start()
    portal.wait_for(is_stored(made, 5))


def test_it_waits_as_long_as_the_portal_asks(place, settings, portal, launch):
    portal.mode("503:3", times=1)
    launch(settings).own(begun(place).path)
    portal.wait_for(lambda portal: portal.runs())
    first, second = (request["t"] for request in portal.requests())
    assert second - first >= 3.0


def test_in_an_outage_it_knocks_politely_however_often_it_is_woken(place, settings, portal, launch):
    portal.mode("503:0")
    handle = launch(settings)
    handle.own(begun(place).path)
    portal.wait_for(lambda portal: portal.requests())
    for _ in range(30):
        handle.wake()
        time.sleep(0.1)
    assert 2 <= len(portal.requests()) <= 10


@pytest.mark.parametrize("luck", [min, max])
def test_at_most_twelve_requests_in_the_first_five_minutes_of_an_outage_and_one_in_five_after(home, monkeypatch, luck):
    monkeypatch.setattr(random, "uniform", lambda low, high: luck(low, high))
    work, times = _UploaderLoop(config.load(), None, Life(os.getpid(), "")), [0.0]
    while times[-1] < 24 * 3600:
        asked_at = time.monotonic()
        work._back_off(0.0, "outage")
        times.append(times[-1] + work.not_before - asked_at)
    later = [at for at in times if at > 300]
    assert 5 <= len(times) - len(later) <= 12
    assert all(after - before >= 299.9 for before, after in itertools.pairwise(later))


def test_a_back_off_of_weeks_does_not_overflow(home):
    work = _UploaderLoop(config.load(), None, Life(os.getpid(), ""))
    work.failures = 5000
    work._back_off(None, "outage")
    assert 300 <= work.not_before - time.monotonic() <= 330


@pytest.mark.parametrize("mode", ["401", "403", "404"])
def test_a_refused_token_is_warned_of_once_and_asked_for_again_later(place, settings, portal, launch, caplog, mode):
    portal.mode(mode)
    handle = launch(settings)
    handle.own(begun(place).path)
    portal.wait_for(lambda portal: portal.requests())
    for _ in range(10):
        handle.wake()
        time.sleep(0.1)
    assert len(portal.requests()) == 1
    assert not handle.finish(5.0)
    assert [record.getMessage() for record in caplog.records] == [
        f"TraceML: the portal refuses uploads: mode {mode}. Everything stays in the spool."
    ]
    assert LOOK_AGAIN_S == 15 * 60
