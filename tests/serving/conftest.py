"""One portal for all tests of how it is served."""

import pytest

from tests.backup import places
from tests.releases import RELEASES
from tests.serving import servers


@pytest.fixture(scope="session")
def database_url(tmp_path_factory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('served')}/traceml.sqlite3"
    places.done(url, "restore", RELEASES[-1])
    return url


@pytest.fixture(scope="session")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "portal.log"


@pytest.fixture(scope="session")
def port(database_url, log) -> int:
    with servers.portal(database_url, log) as port:
        yield port
