"""Wrong and hostile files: a clear refusal that names the line, and nothing imported."""

import gzip

import pytest

from runs.importers import work
from runs.importers.rule import match
from runs.importers.source import MAX_UNPACKED_BYTES
from runs.models import ImportPart, Run
from tests.imports.test_storing import HEADER, RUN_ID, file

pytestmark = pytest.mark.django_db

SLURM = "JobID|JobName|User|State|Start|Elapsed|AllocCPUS\n"
ROW = f"2026-05-01T12:00:00,digits,{RUN_ID.format(1)},60,0.1,0.1,2.3.5\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file has not arrived."),
        (b"\x89PNG\r\n\x1a\n\0\0\0" + bytes(range(256)), "Line 1 is not UTF-8 text"),
        (b"a,b\0c\n", "Line 1 has bytes that no text has"),
        (HEADER.encode() + ROW.encode() + b"2026-05-01T12:00:00,caf\xe9,x,1,1,1,1\n", "Line 3 is not UTF-8 text"),
        (HEADER.encode() + ROW.encode() + b'2026-05-01T12:00:00,"open,x,1,1,1,1\n', "row that starts on line 3"),
        (b"name,value\n1,2\n", "Line 1 is not of a format that can be imported"),
        (HEADER.replace("emissions,", "duration,").encode(), "Line 1 is not of a format"),
        (HEADER.replace("codecarbon_version", "duration").encode() + ROW.encode(), "column “duration” twice"),
        (SLURM.replace("User", "State").encode(), "column “State” twice"),
        (b"1001|train|alice|COMPLETED|2026-05-01T12:00:00|01:00:00|4\n", "Line 1 is not of a format"),
        (b"JobID|State|Elapsed\n1|COMPLETED|01:00:00\n", "Line 1 is not a header with Start"),
        (b"x" * 300_000, "Line 1 is longer than"),
        (gzip.compress(file((1, 60, 0.1)))[:-9], "not a complete gzip file"),
        (gzip.compress(b"x" * (MAX_UNPACKED_BYTES + 1)), "MB unpacked"),
        (HEADER.encode(), "No run was found"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4603a5\nsize 7\n", "Run `git lfs pull` first"),
    ],
)
def test_a_file_that_is_no_table_of_runs_is_refused_as_a_whole(begun, content, sentence):
    try:
        problem = begun(content).problem
    except work.NotNow as error:
        problem = str(error)
    assert sentence in problem
    assert (Run.objects.count(), ImportPart.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("2026-05-01T12:00:00,digits,{},60,0.1,-0.1,2", "energy_consumed is “-0.1”; it must be between 0 and"),
        ("2026-05-01T12:00:00,digits,{},60,0.1,1e308,2", "energy_consumed is “1e308”; it must be between"),
        ("2026-05-01T12:00:00,digits,{},60,0.1,nan,2", "energy_consumed is “nan”, which is not a finite number"),
        ("2026-05-01T12:00:00,digits,{},60,0.1,inf,2", "not a finite number"),
        ('2026-05-01T12:00:00,digits,{},60,0.1,"0,1",2', "energy_consumed is “0,1”, with a decimal comma"),
        ("2026-05-01T12:00:00,digits,{},60,0.1,=1+1,2", "which is not a number"),
        ("2026-05-01T12:00:00,digits,{},60,0.1,,2", "energy_consumed is empty"),
        ("2026-05-01T12:00:00,digits,{},0,0.1,0.1,2", "there is energy, but the duration is 0"),
        ("2026-05-01T12:00:00,digits,{},0.001,0.1,900000,2", "are more than"),
        ("1970-01-01T00:00:10,digits,{},60,0.1,0.1,2", "timestamp is 1970-01-01, before 2005"),
        ("2199-01-01T00:00:10,digits,{},60,0.1,0.1,2", "timestamp is 2199-01-01, in the future"),
        ("yesterday,digits,{},60,0.1,0.1,2", "which is not a time"),
        ("2026-05-01T12:00:00,digits,{},60,0.1,0.1", "it has 6 cells, but the header has 7: it is shifted"),
        ("2026-05-01T12:00:00,digits,{},60,0.1,0.1,2,3", "it has 8 cells"),
    ],
)
def test_an_impossible_row_is_refused_by_its_line_and_the_others_stay(imported, cells, reason):
    asked = imported(f"{HEADER}{ROW}{cells.format(RUN_ID.format(2))}\n".encode())
    assert asked.rows_refused == 1
    assert asked.refused[0]["line"] == 3
    assert reason in asked.refused[0]["reason"]
    assert asked.runs_added == 1


def test_a_row_over_several_lines_is_named_by_its_first(imported):
    row = f'2026-05-01T12:00:00,"two\nlines",{RUN_ID.format(2)},60,0.1,0.1,2\n'
    bad = f"2026-05-01T12:00:00,x,{RUN_ID.format(3)},60,0.1,-1,2\n"
    asked = imported((HEADER + row + bad).encode())
    assert (asked.refused[0]["line"], Run.objects.get().tracked_model.name) == (4, "two lines")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_with_a_mark_of_its_encoding_is_read(imported, encoding):
    imported(file((1, 60, 0.1)).decode().replace("digits", "modèle").encode(encoding))
    assert Run.objects.get().tracked_model.name == "modèle"


def test_semicolons_with_points_are_read(imported):
    imported(file((1, 60, 0.1)).replace(b",", b";"))
    assert Run.objects.get().energy_kwh == pytest.approx(0.1)


def test_a_formula_stays_text_in_our_exports(imported, people, client):
    imported(file((1, 60, 0.1)).replace(b"digits", b'"=HYPERLINK(""http://evil"")"'))
    client.force_login(people.alice)
    export = b"".join(client.get("/runs/export.csv").streaming_content).decode()
    assert "'=HYPERLINK" in export
    assert ",=HYPERLINK" not in export


def test_no_part_beyond_the_limit_is_kept(people, begun, monkeypatch):
    monkeypatch.setattr(work, "MAX_SENT_BYTES", 100)
    with pytest.raises(work.NotNow, match="at most"):
        begun(file((1, 60, 0.1), (2, 60, 0.1)))
    assert not ImportPart.objects.exists()


def test_a_name_for_each_job_is_refused_with_the_remedy(begun, monkeypatch):
    monkeypatch.setattr("runs.importers.checking.MOST_MODELS", 3)
    rows = "".join(f"{n}|job{n}|alice|COMPLETED|2026-05-01T12:00:00|01:00:00|4\n" for n in range(5))
    assert "Say in the rule which names belong to one model" in begun((SLURM + rows).encode()).problem


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("train-*", "train-a", ["a"]),
        ("*-*-*", "a-b-c-d", ["a", "b", "c-d"]),
        ("train", "train", []),
        ("train", "trains", None),
        ("*x", "x", [""]),
        ("ab*ba", "aba", None),
        ("*" * 200 + "b", "a" * 200, None),
    ],
)
def test_a_pattern_matches_in_a_moment(pattern, name, found):
    assert match(pattern, name) == found
