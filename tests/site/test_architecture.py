"""docs/architecture.md and docs/glossary.md lead to files that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
QUESTIONS = re.findall(r"^\| (.+\?) \| `(.+)` \|$", ARCHITECTURE, re.MULTILINE)
PACKAGES = {path.parent.name for path in (ROOT / "runs").glob("*/__init__.py")} - {"migrations"}


def test_twenty_questions_have_an_answer():
    assert len(QUESTIONS) >= 20


@pytest.mark.parametrize(("question", "file"), QUESTIONS)
def test_the_file_that_answers_a_question_exists(question, file):
    assert (ROOT / file).is_file()


def test_every_package_of_runs_is_told_of():
    rooms = ARCHITECTURE.partition("## The portal, room by room")[2].partition("\n## ")[0]
    assert {
        name for row in re.findall(r"^\| (`.+?) \|", rooms, re.MULTILINE) for name in re.findall(r"\w+", row)
    } == PACKAGES


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:runs|hardware|traceml_agent)/[^`]*)`", GLOSSARY))))
def test_the_home_of_a_word_exists(path):
    source = ROOT / "agent" / "src" / path if path.startswith("traceml_agent/") else ROOT / path
    assert source.exists()


def test_no_word_has_two_meanings():
    words = re.findall(r"^\| ([a-zA-Z, ]+) \|", GLOSSARY, re.MULTILINE)
    every = [word for row in words if row != "Word" for word in row.split(", ")]
    assert len(every) >= 40
    assert len(every) == len(set(every))
