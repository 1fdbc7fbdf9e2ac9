"""The code blocks of the README and the docs. `blocks(path, language)` gives those of one file to the test that runs
them; tests/site/test_documents.py sees to it that each file has such a test."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: the file and the line that it begins in, its language, and what is in it."""

    path: str
    line: int
    language: str
    code: str


def all_blocks(path: str) -> list[Block]:
    text = (ROOT / path).read_text()
    return [Block(path, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in FENCE.finditer(text)]


def blocks(path: str, language: str) -> list[str]:
    """The code of a document's blocks in a language, in their order. A test that calls this runs every one of them."""
    return [block.code for block in all_blocks(path) if block.language == language]


def documents() -> list[str]:
    """Every document that people read, by its path from the root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "agent").glob("*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)
