"""The spool: what was appended is there whatever happens, and what can't be read harms nothing else."""

import itertools
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.spooling import MIB, begun, expected, finish, new_run_id, update, whole
from traceml_agent.inputs import config
from traceml_agent.spool import file, files, recording
from traceml_agent.spool.file import Spool


def stored(path) -> list[dict]:
    return [record for _, record in recording.read(str(path)) if record]


def joules(path) -> list[float]:
    return [row["energy_j"] for record in stored(path) for row in record["body"].get("samples", ())]


def damaged(path) -> int:
    return [record for _, record in recording.read(str(path))].count(None)


def line(record) -> bytes:
    return recording.encode(record)


def test_records_come_back_in_order(tmp_path):
    made = whole(tmp_path, updates=3)
    assert [record["type"] for record in stored(made.path)] == ["header", "update", "update", "update", "finish"]
    assert [record["n"] for record in stored(made.path)] == [0, 1, 2, 3, 4]
    assert joules(made.path) == [*expected(3), 3000.0]


def test_a_file_is_for_its_owner_alone(home, tmp_path):
    made = Spool.create(config.load(spool_dir=tmp_path / "new"), new_run_id(), "w-1")
    made.append("update", update(1))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new", Path(made.path))] == [0o700, 0o600]


def test_a_line_in_the_making_is_left_out_until_it_ends(tmp_path):
    made = begun(tmp_path)
    half = line({"v": 1, "n": 1, "type": "update", "body": update(1)})
    with Path(made.path).open("ab") as file:
        file.write(half[:20])
        file.flush()
        assert (len(stored(made.path)), damaged(made.path)) == (1, 0)
        file.write(half[20:])
    assert len(stored(made.path)) == 2


def test_reading_goes_on_where_it_stopped(tmp_path):
    made = begun(tmp_path)
    ((end, _),) = recording.read(made.path)
    made.append("update", update(1))
    assert [record["n"] for _, record in recording.read(made.path, end)] == [1]


@pytest.mark.parametrize(
    "bad",
    [
        b"\0" * 4096 + b"\n",
        os.urandom(3000).replace(b"\n", b"") + b"\n",
        b"00000000 {}\n",
        b"\n\n",
        b"x" * (2 * recording.MAX_LINE_BYTES + 5) + b"\n",
        line({"v": 1, "n": 9, "type": "update", "body": {}})[:-9] + b"\n",
    ],
    ids=["zeros", "random", "checksum", "empty", "huge", "torn"],
)
def test_damaged_lines_are_skipped_one_by_one(tmp_path, bad):
    made = begun(tmp_path)
    for number in (1, 2):
        with Path(made.path).open("ab") as file:
            file.write(bad)
        made.append("update", update(number))
    assert joules(made.path) == expected(2)
    assert damaged(made.path) >= 2


@pytest.mark.parametrize(
    "record",
    [
        [],
        {"v": 2, "n": 1, "type": "update", "body": {}},
        {"v": 1, "type": "update", "body": {}},
        {"v": 1, "n": -1, "type": "update", "body": {}},
        {"v": 1, "n": True, "type": "update", "body": {}},
        {"v": 1, "n": 10**30, "type": "update", "body": {}},
        {"v": 1, "n": 1, "body": {}},
        {"v": 1, "n": 1, "type": "note", "body": {}},
        {"v": 1, "n": 1, "type": ["update"], "body": {}},
        {"v": 1, "n": 1, "type": "header", "body": []},
        {"v": 1, "n": 1, "type": "update", "body": {"samples": 5}},
        {"v": 1, "n": 1, "type": "update", "body": {"samples": [1]}},
        {"v": 1, "n": 1, "type": "update", "body": {"stages": [{"id": ["a"]}]}},
        {"v": 1, "n": 1, "type": "update", "body": {"devices": [{"name": "no key"}]}},
    ],
)
def test_a_whole_line_of_another_shape_is_no_record(record):
    assert recording.decode(line(record)) is None


@pytest.mark.parametrize("text", [b"NaN", b"1e999", b"-Infinity", b"1" * 5000, b"[" * 100_000])
def test_a_line_with_a_number_or_depth_that_cannot_travel_is_no_record(text):
    body = b'{"v":1,"n":1,"type":"update","body":{"x":%s}}' % text
    assert recording.decode(b"%08x %s\n" % (zlib.crc32(body), body)) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_a_line_fail(data):
    assert recording.decode(data) is None


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place, change):
    good = bytearray(line({"v": 1, "n": 1, "type": "update", "body": {"samples": []}}))
    good[place % (len(good) - 1)] ^= change
    found = recording.decode(bytes(good))
    # What is left are the checksum's own spellings: upper case, and signs that int() passes over.
    assert found is None or found == {"v": 1, "n": 1, "type": "update", "body": {"samples": []}}


def test_what_cannot_be_written_as_json_is_dropped_and_counted(tmp_path):
    made = begun(tmp_path)
    assert not made.append("update", {"samples": [{"device": "gpu-0", "energy_j": float("nan")}]})
    assert not made.append("update", {"samples": {1, 2}})
    assert made.append("update", update(1))
    assert (made.dropped, [record["n"] for record in stored(made.path)]) == (2, [0, 3])


def test_a_killed_process_loses_nothing_that_was_appended(tmp_path):
    code = """
import os, signal, sys
from tests.agent.spooling import begun, update
made = begun(sys.argv[1])
for number in range(1, 51):
    made.append("update", update(number))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == -signal.SIGKILL
    (path,) = tmp_path.glob("*.spool")
    assert joules(path) == expected(50)


def test_a_forked_child_writes_nothing(tmp_path):
    made = begun(tmp_path)
    if (child := os.fork()) == 0:
        made.append("update", update(1))
        made.flush_to_disk()
        made.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert made.append("update", update(2))
    assert joules(made.path) == [2000.0]


def test_threads_take_turns(tmp_path):
    made = begun(tmp_path)

    def append_many():
        for number in range(200):
            made.append("update", update(number))

    threads = [threading.Thread(target=append_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [record["n"] for record in stored(made.path)] == list(range(801))


def test_a_signals_handler_that_appends_in_the_midst_of_appending_does_no_harm(tmp_path):
    made = begun(tmp_path)
    handled = []

    def handler(*_):
        handled.append(made.append("finish", finish(1)))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        appended = 0
        while len(handled) < 50:
            made.append("update", update(appended))
            appended += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    types = list({record["n"]: record["type"] for record in stored(made.path)}.values())  # a line may be there twice
    assert (types.count("finish"), types.count("update"), damaged(made.path)) == (len(handled), appended, 0)


FULL_DISK = """
import resource, sys
from tests.agent.spooling import begun, update, finish
made = begun(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in (2_500, 2_600, 4_321, 8_888, hard):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    for number in range(10):
        made.append("update", update(made._n))
assert made.append("finish", finish(50))
assert made.dropped == 0
"""


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY, reason="a limit is set")
def test_on_a_full_disk_no_lines_merge_and_writing_resumes(tmp_path):
    subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], check=True)
    (path,) = tmp_path.glob("*.spool")
    assert joules(path) == [*expected(50), 50_000.0]
    assert damaged(path) == 0


def test_a_disk_that_stays_full_is_told_of_however_little_fits(tmp_path, monkeypatch, caplog):
    made, real = begun(tmp_path), os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:9]))
        assert not made.append("update", update(1))
        assert not made.append("finish", finish(1))
    assert not made.close()
    assert "No space left on device" in caplog.text
    assert "2 records lost" in caplog.text


def test_nothing_is_written_once_it_is_closed(tmp_path):
    made = whole(tmp_path)
    Path(made.path).unlink()  # delivered
    assert not made.append("update", update(4))
    assert not Path(made.path).exists()


def test_a_torn_line_that_cannot_be_cut_off_spoils_no_other(tmp_path, monkeypatch):
    made, real = begun(tmp_path), os.write
    with monkeypatch.context() as broken:  # an I/O error at the worst moment: half a line is there, and stays
        broken.setattr(os, "write", lambda descriptor, data: real(descriptor, data[: len(data) // 2]))
        broken.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert not made.append("update", update(1))
    assert made.append("update", update(2))
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:9]))
        assert not made.append("update", update(3))
    assert made.append("update", update(4))
    assert joules(made.path) == expected(4)
    assert damaged(made.path) == 1


def test_what_waits_in_memory_is_bounded_and_keeps_header_and_finish(tmp_path):
    made = Spool(None, new_run_id(), "w-1", 256 * MIB)
    made.append("header", {"model": "m"})
    for number in range(100):
        made.append("update", update(number, note="x" * 100_000))
    made.append("finish", finish(100))
    waiting = [recording.decode(each) for each in made._waiting]
    assert sum(map(len, made._waiting)) <= file.MEMORY_LIMIT_BYTES
    assert (waiting[0]["type"], waiting[-1]["type"]) == ("header", "finish")
    assert waiting[-2]["body"]["samples"] == update(99)["samples"]
    assert made.dropped == 100 - (len(waiting) - 2)


def test_the_cap_thins_a_run_instead_of_cutting_it_off(tmp_path):
    made = begun(tmp_path, limit_bytes=MIB)
    for number in range(1, 20_001):
        made.append("update", update(number))
    made.append("finish", finish(20_000))
    numbers = [energy / 1000 for energy in joules(made.path)]
    gaps = [after - before for before, after in itertools.pairwise(numbers)]
    assert Path(made.path).stat().st_size <= MIB
    assert numbers[-1] == 20_000
    assert gaps[:-1] == sorted(gaps[:-1])
    assert max(gaps) < 20_000 / 10
    assert made.dropped == 20_000 - (len(numbers) - 1)


def test_a_thinned_chunk_keeps_what_comes_only_once(tmp_path):
    made = begun(tmp_path, limit_bytes=MIB)
    for number in range(1, 5001):
        made.append("update", update(number))
    for number in range(20):
        made.append("update", update(number, stages=[{"id": str(number), "name": "epoch", "start_s": 0}]))
    stages = [stage["id"] for record in stored(made.path) for stage in record["body"].get("stages", ())]
    assert stages == [str(number) for number in range(20)]


def test_runs_of_one_folder_share_the_cap(tmp_path):
    first = begun(tmp_path)
    first.append("update", update(1, note="x" * 900_000))
    second = begun(tmp_path, limit_bytes=MIB)
    for number in range(2000):
        second.append("update", update(number))
    assert files.size_of(str(tmp_path)) <= MIB
