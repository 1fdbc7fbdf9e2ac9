"""Every code block in the docs is run by a test, or is marked as something that nobody runs."""

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.documents import ROOT, Block, all_blocks, documents

#: What is run, and what is looked at: output, drawings, and the contents of files.
RUN, LOOKED_AT = {"python", "sh"}, {"text", "json", "toml", "yaml", "ini", "bibtex", "latex"}
#: Documents with commands that set up or look after a machine, as root or with containers, and README's two, which CI
#: runs itself. Not all of their programs are on this machine; below, each of ours is checked to take its arguments.
TYPED = [
    "CONTRIBUTING.md",
    "README.md",
    "docs/catalogue.md",
    "docs/deploy.md",
    "docs/housekeeping.md",
    "docs/settings.md",
]
TESTS = "\n".join(path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__))
EVERY = [block for path in documents() for block in all_blocks(path)]


def place(block: Block) -> str:
    return f"{block.path}:{block.line}"


@pytest.mark.parametrize("block", EVERY, ids=place)
def test_a_block_says_what_it_is(block):
    assert block.language in RUN | LOOKED_AT


@pytest.mark.parametrize("path", documents())
def test_a_document_with_code_has_a_test_that_runs_it(path):
    languages = {block.language for block in all_blocks(path)} & (RUN - {"sh"} if path in TYPED else RUN)
    runs_all = f'all_blocks("{path}")' in TESTS
    assert [each for each in languages if not runs_all and f'blocks("{path}", "{each}")' not in TESTS] == []


def typed(program: str) -> list[tuple[str, list[str]]]:
    """The places and the words of each command of ours that an administrator is told to type."""
    found = []
    for block in EVERY:
        if block.path in TYPED and block.language == "sh":
            for line in block.code.splitlines():
                if match := re.search(rf"\b{program} ([a-z_-].*)", line.partition(" #")[0].replace("[", "").rstrip()):
                    found.append((f"{block.path}: {line}", shlex.split(match[1])))
    return found


@pytest.mark.parametrize(("line", "words"), typed(r"(?:manage\.py|portal)"))
def test_a_command_of_the_portal_takes_the_arguments_that_the_docs_give_it(line, words):
    name, *arguments = words
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    parser.parse_args(arguments)  # exits where it doesn't know one


@pytest.mark.parametrize(("line", "words"), typed("make"))
def test_there_is_what_the_docs_tell_to_make(line, words):
    assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


LINKS = [
    (path, target)
    for path in documents()
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", (ROOT / path).read_text())
]


def headings(path: Path) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("path", "target"), LINKS)
def test_a_link_leads_to_what_is_there(path, target):
    file, _, anchor = target.partition("#")
    linked = (ROOT / path).parent / file if file else ROOT / path
    assert linked.exists()
    assert not anchor or anchor in headings(linked)
