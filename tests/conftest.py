"""What all tests share: surroundings of their own, people, tokens, a client that speaks the wire, the catalogue."""

import os
from pathlib import Path

import pytest
from django.db import connection

from hardware import loading
from hardware.models import CatalogueState
from runs.ingest.folding.fold import fold_waiting
from runs.jobs import folder
from runs.sql.within_project import is_distributed
from tests import people as cast
from tests import surroundings
from tests.wire import Wire
from traceml_agent import messages

#: Made while this file is loaded: what the agent's modules read when they are imported is the suite's own by then.
OWN_FOLDER = surroundings.replaced()
#: What a load fills, in the order in which rows refer to others.
CATALOGUE_TABLES = ("hardware_hardwareprofile", "hardware_hardwarealias", "hardware_cloudinstance")
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


@pytest.fixture(autouse=True)
def totals_at_once(monkeypatch):
    """Totals follow in the request itself: a thread of its own could not see a test's transaction."""
    monkeypatch.setattr(folder, "wake", lambda run=None: fold_waiting())


@pytest.fixture
def people(db) -> cast.People:
    return cast.settle()


@pytest.fixture(scope="session")
def seed_catalogue(django_db_setup, django_db_blocker):
    """The seed catalogue, loaded once and kept in tables beside the real ones; how many profiles that was."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        report = loading.load()
        for table in CATALOGUE_TABLES:
            cursor.execute(f"DROP TABLE IF EXISTS kept_{table}")
            cursor.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
        for table in (*reversed(CATALOGUE_TABLES), "hardware_cataloguestate"):
            cursor.execute(f"DELETE FROM {table}")
    return report


@pytest.fixture
def catalogue(seed_catalogue, db):
    """The whole seed catalogue, as `manage.py load_catalogue` loads it; to load it takes a second, to copy it none."""
    with connection.cursor() as cursor:
        for table in CATALOGUE_TABLES:
            cursor.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        if connection.vendor == "postgresql" and not is_distributed():  # as after a load: see `loading`
            cursor.execute(f"ANALYZE {', '.join(CATALOGUE_TABLES)}")
    CatalogueState.renew()
    return seed_catalogue


@pytest.fixture
def wire(people, client) -> Wire:
    """A client of the API with Alice's project's token."""
    return Wire(client, cast.token(people.project))


@pytest.fixture
def charlies_wire(people, client) -> Wire:
    return Wire(client, cast.token(people.charlies_project))
