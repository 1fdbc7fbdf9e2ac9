"""What all tests share: people, their tokens, a client that speaks the wire, the seed catalogue."""

from pathlib import Path

import pytest

from tests import people as cast
from tests.wire import Wire

SEED = Path(__file__).parent.parent / "agent" / "src" / "traceml_agent" / "data"


@pytest.fixture(autouse=True)
def nobody_knocked_before():
    """Throttles count in the cache: what one test did may not keep another one out."""
    from django.core.cache import cache

    cache.clear()


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
