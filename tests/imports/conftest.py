"""Imports as people make them: a file, choices, and what the portal answers."""

from pathlib import Path

import pytest

from runs.importers import rule, work
from runs.models import Import

FILES = Path(__file__).parent / "files"


@pytest.fixture(autouse=True)
def no_process_of_its_own(monkeypatch):
    """Large files wait for `work.work_off()` of the test."""
    monkeypatch.setattr(work, "start_in_background", lambda: None)


@pytest.fixture
def begun(people, catalogue):
    """Sends a file of Alice's and has it checked: `begun(name or bytes, **choices)`; returns the import."""

    def begin(content: str | bytes, name: str = "", project=None, **choices) -> Import:
        data = (FILES / content).read_bytes() if isinstance(content, str) else content
        name = name or (content if isinstance(content, str) else "file.csv")
        asked = work.begin(project or people.project, people.alice, people.alice.pk, name, rule.parse(choices))
        for number in range(0, len(data), work.PART_BYTES):
            work.receive(asked, number // work.PART_BYTES, data[number : number + work.PART_BYTES])
        work.check(asked)
        work.work_off()
        asked.refresh_from_db()
        return asked

    return begin


@pytest.fixture
def imported(begun):
    """The same, confirmed."""

    def go_through(content: str | bytes, name: str = "", project=None, **choices) -> Import:
        asked = begun(content, name, project, **choices)
        assert asked.state == Import.State.CHECKED, asked.problem
        work.confirm(asked)
        work.work_off()
        asked.refresh_from_db()
        assert asked.state == Import.State.DONE, asked.problem
        return asked

    return go_through
