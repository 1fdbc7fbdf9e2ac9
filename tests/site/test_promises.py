"""docs/promises.md names every promise that is cited, and what it says of code and tests is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"\bP[AS]\d+\b")
FOLDERS = ("agent", "docs", "hardware", "runs", "static/js", "templates", "tests", "traceml_site")
ROWS = {
    cells[0]: cells[1:]
    for line in (ROOT / "docs" / "promises.md").read_text().splitlines()
    if NUMBER.match((cells := [cell.strip() for cell in line.strip("|").split("|")])[0])
}


def files():
    """Whatever people write: code, templates, scripts and documents."""
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*.*") if path.suffix in (".py", ".md", ".html", ".js"))
    yield from ROOT.glob("*.md")


def test_every_number_that_is_cited_is_a_promise():
    cited = {number: path for path in files() for number in NUMBER.findall(path.read_text())}
    assert {number: path for number, path in cited.items() if number not in ROWS} == {}


@pytest.mark.parametrize("number", ROWS)
def test_a_promise_is_kept_by_code_and_held_by_a_test_that_are_there(number):
    *_, kept_in, held_by = ROWS[number]
    code, tests = (re.findall(r"`([^`]+)`", cell) for cell in (kept_in, held_by))
    assert code and tests
    assert [path for path in code if not (ROOT / path).is_file()] == []
    assert [test for test in tests if not is_there(test)] == []


def is_there(test: str) -> bool:
    """Whether the file is there and, where one is named, the test in it."""
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and (not name or f"def {name}(" in (ROOT / path).read_text())
