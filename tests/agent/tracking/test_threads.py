"""One run that many threads tell of: each word is written once, in the order in which its thread said it."""

import signal
import sys
import threading

import pytest

import traceml_agent
from traceml_agent.spool import recording
from traceml_agent.tracking import run as runs

LOGGED = 6000


@pytest.fixture
def hasty():
    """Threads take turns after each few instructions, so that what depends on their order shows."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before_s)


@pytest.fixture
def run(settings):
    run = traceml_agent.start("x", url="", spool_dir=settings.spool_dir)
    yield run
    run.stop()


@pytest.fixture
def updates(run):
    """The rows of a kind in the run's file, in order."""
    return lambda kind: [
        row
        for _, record in recording.read(run._spool.path)
        if record["type"] == "update"
        for row in record["body"].get(kind, ())
    ]


@pytest.fixture
def told_by_three(run, hasty):
    """A run that three threads told of more than a record holds, while others wrote down what there was."""
    over = threading.Event()

    def tell(name):
        for number in range(LOGGED):
            run.log({name: number, "tokens": 1})

    def write():
        while not over.is_set():
            run._write()

    threads = [threading.Thread(target=tell, args=(name,)) for name in "abc"]
    writers = [threading.Thread(target=write) for _ in range(2)]
    for each in (*threads, *writers):
        each.start()
    for each in threads:
        each.join()
    over.set()
    run.stop()


def test_each_threads_values_stay_in_the_order_in_which_it_logged_them(told_by_three, updates):
    rows = updates("metrics")
    for name in "abc":
        assert [row["value"] for row in rows if row["name"] == name] == [float(number) for number in range(LOGGED)]


def test_the_work_of_all_threads_counts_once(told_by_three, run, updates):
    assert sum(row["value"] for row in updates("metrics") if row["name"] == "tokens") == 3 * LOGGED
    assert run.summary["work"]["tokens"]["count"] == 3 * LOGGED


def test_a_stage_that_ends_while_another_thread_writes_its_beginning_does_not_stay_open(run, updates):
    append, begun, written = run._spool.append, threading.Event(), threading.Event()

    def slowly(*record):
        """The disk is slow with the record of the beginning; a later one may not overtake it."""
        run._spool.append = append
        begun.set()
        written.wait(0.5)
        return append(*record)

    run._spool.append = slowly
    with run.stage("load"):
        writer = threading.Thread(target=run._write)
        writer.start()
        begun.wait(10)
    for number in range(1000):
        run.log(loss=number)
    written.set()
    writer.join()
    assert updates("stages")[-1]["end_s"] is not None


def test_a_handler_that_ends_the_run_amid_a_record_does_not_wait_for_a_thread_that_ends_it_too(
    run, updates, monkeypatch
):
    """A scheduler's signal comes while the main thread writes what it logged, and a worker stops the run: the worker
    waits for the record, and the handler for the worker."""
    monkeypatch.setattr(runs, "END_S", 0.5)
    worker, append = threading.Thread(target=run.stop), run._spool.append

    def end(number, frame):
        worker.start()
        worker.join(0.2)
        run.stop()

    def interrupted(*record):
        run._spool.append = append
        signal.raise_signal(signal.SIGUSR1)
        return append(*record)

    before = signal.signal(signal.SIGUSR1, end)
    try:
        run._spool.append = interrupted
        for number in range(1000):
            run.log(loss=number)
    finally:
        signal.signal(signal.SIGUSR1, before)
    worker.join(10)
    assert not worker.is_alive()
    assert [row["value"] for row in updates("metrics")] == [float(number) for number in range(1000)]
    assert recording.is_finished(run._spool.path)
