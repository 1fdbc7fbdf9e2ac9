"""What all tests share: surroundings of their own, people, tokens, a client that speaks the wire, the catalogue."""

import os
from pathlib import Path

import pytest

from tests import people as cast
from tests import surroundings
from tests.wire import Wire
from traceml_agent import messages

SEED = Path(__file__).parent.parent / "agent" / "src" / "traceml_agent" / "data"
#: Made while this file is loaded: what the agent's modules read when they are imported is the suite's own by then.
OWN_FOLDER = surroundings.replaced()
messages.raising = False  # the one that Django has imported already


@pytest.fixture(autouse=True, scope="session")
def working_folder():
    """Not the checkout, where somebody may keep settings of the agent."""
    before = Path.cwd()
    os.chdir(OWN_FOLDER / "home")
    yield
    os.chdir(before)


def pytest_sessionfinish(exitstatus):
    if exitstatus == pytest.ExitCode.OK:  # else it holds what explains a failure
        surroundings.removed(OWN_FOLDER)


@pytest.fixture
def people(db) -> cast.People:
    return cast.settle()


@pytest.fixture
def catalogue(db):
    """The whole seed catalogue, as `manage.py load_catalogue` loads it."""
    from hardware import loading

    return loading.load(SEED)


@pytest.fixture
def wire(people, client) -> Wire:
    """A client of the API with Alice's project's token."""
    return Wire(client, cast.token(people.project))


@pytest.fixture
def charlies_wire(people, client) -> Wire:
    return Wire(client, cast.token(people.charlies_project))
