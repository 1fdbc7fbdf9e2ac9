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
    monkeypatch.setattr("traceml_site.sqlite3.base.SUFFIX", "/no/such/folder")
    write("kept")
    assert Team.objects.count() == 1
