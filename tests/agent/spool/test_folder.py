"""Where the spool lies, and which of its files are whose."""

import os
from pathlib import Path

import pytest

from tests.agent.spooling import begun, new_run_id, update, whole
from traceml_agent.host import private
from traceml_agent.inputs import config
from traceml_agent.spool import file, files, names
from traceml_agent.spool import folder as spool_folder
from traceml_agent.spool.file import Spool


@pytest.fixture
def no_disk(home, tmp_path, monkeypatch):
    """Every place on disk is a file, so no folder can be made in it."""
    blocked = tmp_path / "blocked"
    blocked.touch()
    monkeypatch.setenv("HOME", str(blocked))
    monkeypatch.setenv("TMPDIR", str(blocked))
    monkeypatch.setattr(private, "MEMORY_FOLDER", str(blocked / "none"))
    return blocked


def test_places_are_tried_in_order(no_disk, tmp_path, monkeypatch, caplog):
    for variable, value in (
        (None, None),
        ("MEMORY_FOLDER", tmp_path / "memory"),
        ("TMPDIR", tmp_path / "tmp"),
        ("HOME", tmp_path / "home-2"),
        ("XDG_STATE_HOME", tmp_path / "state"),
    ):
        if variable == "MEMORY_FOLDER":
            value.mkdir()
            monkeypatch.setattr(private, variable, str(value))
        elif variable:
            monkeypatch.setenv(variable, str(value))
        place = spool_folder.folder(config.load())
        assert (place is None) if value is None else place.startswith(f"{value}/")
    chosen = config.load(spool_dir=tmp_path / "chosen")
    assert spool_folder.folder(chosen) == str(tmp_path / "chosen")
    assert len(spool_folder.folders(chosen)) == 5, "what lies in the other places is not forgotten"


def test_without_any_place_records_wait_in_memory_with_one_warning(no_disk, caplog):
    made = Spool.create(config.load(), new_run_id(), "w-1")
    assert [made.append("update", update(number)) for number in range(3)] == [False] * 3
    assert (made.path, len(made._waiting), len(caplog.records)) == (None, 3, 1)


def test_a_spool_in_memory_says_so_and_stays_small(no_disk, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(private, "MEMORY_FOLDER", str(tmp_path))
    made = Spool.create(config.load(), new_run_id(), "w-1")
    made.append("header", {"model": "m"})
    for number in range(100):
        made.append("update", update(number, note="x" * 100_000))
    assert Path(made.path).stat().st_size <= file.MEMORY_LIMIT_BYTES
    assert "is in memory" in caplog.text


def test_a_link_in_a_public_place_is_not_used(home, tmp_path, monkeypatch):
    (tmp_path / "trap").mkdir()
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / f"traceml-{os.getuid()}").symlink_to(tmp_path / "trap")
    assert spool_folder.folder(config.load()).startswith(private.MEMORY_FOLDER)
    assert list((tmp_path / "trap").iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to make somebody else's folder")
def test_somebody_elses_folder_is_not_used(home, tmp_path, monkeypatch):
    place = tmp_path / f"traceml-{os.getuid()}"
    place.mkdir()
    os.chown(place, 12345, 12345)
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert spool_folder.folder(config.load()) != str(place)


def test_a_file_has_a_living_writer_until_its_process_lets_go(tmp_path):
    made = begun(tmp_path)
    assert files.has_living_writer(made.path)
    made.close()
    assert not files.has_living_writer(made.path)


@pytest.mark.parametrize(
    ("options", "lives"),
    [("rw,vers=4.2,local_lock=none", False), ("rw,vers=3,local_lock=all", True), ("rw,nolock", True)],
)
def test_a_writer_on_another_host_lives_as_long_as_its_file_grows_where_locks_are_local(
    tmp_path, monkeypatch, options, lives
):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"proc /proc proc rw 0 0\nserver:/home {tmp_path} nfs4 {options} 0 0\n")
    monkeypatch.setattr(files, "MOUNTS", str(mounts))
    monkeypatch.setattr(names, "host_code", lambda: "aaaa")
    made = begun(tmp_path, writer=names.new_writer())
    made.close()
    monkeypatch.setattr(names, "host_code", lambda: "bbbb")
    assert files.has_living_writer(made.path) is lives
    os.utime(made.path, (0, 0))
    assert not files.has_living_writer(made.path)


def test_an_empty_file_is_being_made_unless_it_is_old(tmp_path):
    path = tmp_path / f"{new_run_id()}.w-1.spool"
    path.touch()
    assert files.has_living_writer(str(path))
    os.utime(path, (0, 0))
    assert not files.has_living_writer(str(path))


def test_what_cannot_be_a_spool_file_is_set_aside_and_the_others_are_listed(tmp_path):
    good = whole(tmp_path)
    names = [f"{new_run_id()}.w-1.spool" for _ in range(3)]
    os.mkfifo(tmp_path / names[0])
    (tmp_path / names[1]).symlink_to("/etc/passwd")
    (tmp_path / names[2]).mkdir()
    (tmp_path / "noname.spool").write_text("x")
    (tmp_path / "unrelated.txt").write_text("x")
    assert files.spool_files(str(tmp_path)) == [good.path]
    assert {path.name for path in (tmp_path / "quarantine").iterdir()} == {*names, "noname.spool"}
