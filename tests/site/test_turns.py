"""SQLite's writers take turns, so that none waits for seconds while others come and go."""

import threading
import time
from pathlib import Path

import pytest
from django.db import connection, transaction

from runs.models import Team

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL wakes who waits"),
]


def in_thread(act) -> threading.Thread:
    def work():
        act()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def write(name: str) -> None:
    with transaction.atomic():
        Team.objects.create(name=name, slug=name)


def test_who_waits_writes_right_after_the_one_before():
    done: list[float] = []

    def act():
        write("second")
        done.append(time.monotonic())

    with transaction.atomic():
        Team.objects.create(name="first", slug="first")
        thread = in_thread(act)
        time.sleep(0.6)  # SQLite's own waiting looks again every 0.1 s by now
        assert not done
    thread.join(5)
    assert list(Team.objects.order_by("pk").values_list("name", flat=True)) == ["first", "second"]


def test_a_transaction_that_is_taken_back_passes_the_turn_on():
    with pytest.raises(RuntimeError), transaction.atomic():
        Team.objects.create(name="lost", slug="lost")
        raise RuntimeError
    in_thread(lambda: write("kept")).join(5)
    assert list(Team.objects.values_list("name", flat=True)) == ["kept"]


def test_many_writers_all_get_their_turn():
    threads = [in_thread(lambda n=n: [write(f"{n}-{each}") for each in range(10)]) for n in range(16)]
    for thread in threads:
        thread.join(30)
    assert Team.objects.count() == 160


def test_no_descriptor_stays_open():
    write("warm")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for n in range(20):
        write(f"team-{n}")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_without_a_place_for_turns_sqlite_waits_as_ever(monkeypatch):
    monkeypatch.setattr("traceml_site.databases.sqlite3.base.SUFFIX", "/no/such/folder")
    write("kept")
    assert Team.objects.count() == 1


def in_line(number: int, name: str, done: list[str], holds_s: float = 0.0) -> None:
    with connection.in_line(number), transaction.atomic():
        Team.objects.create(name=name, slug=name)
        done.append(name)
        time.sleep(holds_s)


def test_of_a_line_one_at_a_time_waits_for_the_turn():
    """A project with eight connections lets another through after a turn or two, not after eight."""
    done: list[str] = []
    threads = [in_thread(lambda n=n: in_line(1, f"crowd-{n}", done, 0.1)) for n in range(8)]
    time.sleep(0.15)  # by now all of them wait
    before = len(done)
    in_thread(lambda: in_line(2, "other", done)).join(10)
    assert done.index("other") - before <= 3
    for thread in threads:
        thread.join(10)
    assert len(done) == 9


def test_who_has_the_turn_stands_in_no_line():
    """The one before it there may wait for that very turn."""
    done: list[str] = []
    with transaction.atomic():
        Team.objects.create(name="first", slug="first")
        thread = in_thread(lambda: in_line(1, "waits", done))
        time.sleep(0.1)
        in_line(1, "inside", done)
    thread.join(5)
    assert done == ["inside", "waits"]


def test_a_line_goes_on_after_a_failure_and_keeps_no_descriptor():
    done: list[str] = []
    in_line(1, "warm", done)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(RuntimeError), connection.in_line(1):
        raise RuntimeError
    in_line(1, "next", done)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
