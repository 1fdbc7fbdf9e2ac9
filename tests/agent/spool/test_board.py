"""The board: counters that outlive the process that kept them, and that forked children share."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from traceml_agent.spool import board
from traceml_agent.spool.board import Board
from traceml_agent.watch import Counts


@pytest.fixture
def spool_path(tmp_path):
    """A spool file's path; its board goes with the test."""
    path = str(tmp_path / "00000000-0000-4000-8000-000000000000.w-1-1-1.spool")
    yield path
    board.discard(path)


@pytest.fixture
def shared(spool_path):
    return Board(board.board_of(spool_path))


def calls(of) -> dict:
    return {row["method"]: (row["calls"], row["items"]) for row in of.calls()}


def test_not_even_the_last_call_before_a_kill_is_lost(spool_path):
    code = """
import os, sys
from traceml_agent.spool.board import Board, board_of
from traceml_agent.watch import Counts
counts = Counts("predict", Board(board_of(sys.argv[1])))
for _ in range(200):
    counts.add(3, 0.5)
os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", code, spool_path])
    assert killed.returncode == -signal.SIGKILL
    assert board.left_by(spool_path).calls() == [{"method": "predict", "calls": 200, "items": 600, "busy_s": 100.0}]


@pytest.mark.parametrize("is_shared", [True, False])
def test_forked_workers_count_beside_each_other(spool_path, is_shared):
    made = Board(board.board_of(spool_path) if is_shared else "")
    counts = Counts("predict", made)
    counts.add(1, 0.0)
    workers = []
    for _ in range(8):
        if (worker := os.fork()) == 0:
            for _ in range(500):
                counts.add(2, 0.0)
            os._exit(0)
        workers.append(worker)
    for worker in workers:
        os.waitpid(worker, 0)
    assert calls(made) == {"predict": (4001, 8001)}


def test_where_more_is_called_than_there_are_slots_no_call_is_lost(shared):
    for number in range(board.SLOTS + 50):
        Counts(f"method {number}", shared).add(1, 0.0)
    assert sum(row["calls"] for row in shared.calls()) == board.SLOTS + 50
    assert "further methods" in calls(shared)


def test_it_lets_go_of_no_descriptor_that_is_somebody_elses_by_now(tmp_path, spool_path):
    made = Board(board.board_of(spool_path))
    os.close(made._descriptor.number)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, made._descriptor.number)
    number = made._descriptor.number
    del made
    os.fstat(number)
    os.close(number)
    os.close(theirs)


def test_without_shared_memory_it_counts_all_the_same(monkeypatch, spool_path):
    monkeypatch.setattr(board, "board_of", lambda path: "/proc/nowhere")
    made = Board("/proc/nowhere/board")
    Counts("predict", made).add(1, 0.0)
    assert calls(made) == {"predict": (1, 1)}
    assert board.left_by(spool_path) is None


def test_a_board_that_nobody_can_want_is_removed(spool_path):
    forgotten = board.board_of(spool_path.replace("w-1-1-1", "w-3fffffff-1-abcdef"))
    wanted_path = spool_path.replace("w-1-1-1", "w-3ffffffe-1-abcdef")
    wanted = board.board_of(wanted_path)
    young = board.board_of(spool_path.replace("w-1-1-1", "w-3ffffffd-1-abcdef"))
    for path in (forgotten, wanted, young):
        Board(path)
    for path in (forgotten, wanted):
        os.utime(path, (0, 0))
    board.sweep([wanted_path])
    assert [Path(path).exists() for path in (forgotten, wanted, young)] == [False, True, True]
