"""Promise PS29: `manage.py backup` and `restore`, on both databases, while others write."""

import stat
import threading
import zipfile
from contextlib import suppress

import pytest

from tests.backup.places import done, emptied, everything, is_sqlite, manage, opened, refused


@pytest.fixture
def backup(portal, tmp_path):
    path = tmp_path / "traceml.backup"
    done(portal, "backup", path)
    return path


def test_every_row_comes_back_in_an_empty_place(portal, backup, empty):
    assert "All totals match." in done(empty, "restore", backup)
    assert everything(empty) == everything(portal)


def test_a_place_that_was_just_set_up_counts_as_empty(portal, backup, request):
    fresh = emptied(request.getfixturevalue("copy")) if is_sqlite(portal) else request.getfixturevalue("tables")
    done(fresh, "restore", backup)
    assert everything(fresh) == everything(portal)


def test_what_is_restored_goes_on(backup, empty):
    done(empty, "restore", backup)
    assert done(empty, "issue_token", "--team", "A new team", "--project", "P").startswith("tml_")


def test_a_backup_is_of_one_moment_while_others_write(portal, empty, tmp_path):
    """Each write adds one to two tables: in a copy that mixed two moments they would differ."""
    over, count = threading.Event(), [0]
    path = tmp_path / "meanwhile.backup"
    with opened(portal) as rows:
        for table in ("one", "two"):
            rows.execute(f"CREATE TABLE {table} (n integer)")
            rows.execute(f"INSERT INTO {table} VALUES (0)")
    writer = threading.Thread(target=_count_in_both, args=(portal, over, count))
    writer.start()
    try:
        done(portal, "backup", path)
    finally:
        over.set()
        writer.join()
        with opened(portal) as rows:
            rows.execute("DROP TABLE one"), rows.execute("DROP TABLE two")
    done(empty, "restore", path)
    held = everything(empty)
    assert held["one"] == held["two"]
    assert 0 < held["one"][0][0][1] < count[0]


def _count_in_both(url: str, over: threading.Event, count: list[int]) -> None:
    with opened(url) as rows:
        while not over.is_set():
            rows.execute("BEGIN IMMEDIATE" if is_sqlite(url) else "BEGIN")
            rows.execute("UPDATE one SET n = n + 1")
            rows.execute("UPDATE two SET n = n + 1")
            rows.execute("COMMIT")
            count[0] += 1


def test_it_is_its_owners_alone(backup):
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_nothing_is_left_of_a_backup_that_fails(portal, tmp_path):
    if is_sqlite(portal):
        pytest.skip("SQLite's needs no tool that may be missing")
    said = refused(portal, "backup", tmp_path / "b", PATH="/nowhere")
    assert "Install the PostgreSQL client" in said
    assert list(tmp_path.iterdir()) == []


def test_it_overwrites_no_file(portal, backup):
    assert "already exists" in refused(portal, "backup", backup)


def test_a_database_without_tables_is_not_taken_for_the_portals(empty_sqlite, tmp_path):
    assert "Check that DATABASE_URL" in refused(empty_sqlite, "backup", tmp_path / "b")


def test_a_place_with_people_or_runs_in_it_is_left_as_it_is(portal, backup):
    before = everything(portal)
    assert "not empty" in refused(portal, "restore", backup)
    assert everything(portal) == before


def test_a_backup_of_the_other_database_is_refused(portal, backup, empty_sqlite, empty_postgres):
    other = empty_postgres if is_sqlite(portal) else empty_sqlite
    assert "is a backup of" in refused(other, "restore", backup)


@pytest.mark.parametrize("damage", ["cut off", "a byte", "no backup", "missing"])
def test_a_damaged_file_is_refused_before_anything_is_touched(sqlite_portal, empty_sqlite, tmp_path, damage):
    path = tmp_path / "b"
    done(sqlite_portal, "backup", path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    if damage == "missing":
        path.unlink()
    else:
        other = bytes([whole[middle] ^ 255])
        path.write_bytes(
            {"cut off": whole[:middle], "a byte": whole[:middle] + other + whole[middle + 1 :], "no backup": b"hello"}[
                damage
            ]
        )
    refused(empty_sqlite, "restore", path)
    assert "no such table" in _rows_of_runs(empty_sqlite)


def _rows_of_runs(url: str) -> str:
    with opened(url) as rows, suppress(Exception):
        return str(rows.execute("SELECT COUNT(*) FROM runs_run").fetchone())
    return "no such table"


def test_totals_that_differ_are_named(sqlite_portal, empty_sqlite, tmp_path):
    """A copy that was tampered with, or a disk that lies."""
    path, other = tmp_path / "b", tmp_path / "other"
    done(sqlite_portal, "backup", path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        about = old.read("about.json").replace(b'"energy_kwh": ', b'"energy_kwh": 1')
        new.writestr("about.json", about)
        new.writestr("database.sqlite3", old.read("database.sqlite3"))
    answer = manage(empty_sqlite, "restore", other)
    assert answer.returncode == 1
    assert "runs_run.energy_kwh" in answer.stderr


def test_a_backup_of_a_newer_release_is_refused(sqlite_portal, empty_sqlite, tmp_path):
    path, other = tmp_path / "b", tmp_path / "other"
    done(sqlite_portal, "backup", path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        new.writestr("about.json", old.read("about.json").replace(b"0001_initial", b"9999_to_come"))
        new.writestr("database.sqlite3", old.read("database.sqlite3"))
    assert "newer release" in refused(empty_sqlite, "restore", other)
