"""A portal's database of each kind that tests read and copy, and empty ones to put copies into."""

import shutil

import pytest

from tests.backup import places
from tests.releases import RELEASES


@pytest.fixture(scope="session")
def sqlite_portal(tmp_path_factory) -> str:
    """The URL of a database with something in every table."""
    url = f"sqlite:///{tmp_path_factory.mktemp('portal')}/traceml.sqlite3"
    places.done(url, "restore", RELEASES[-1])
    return url


@pytest.fixture(scope="session")
def postgres_portal(sqlite_portal) -> str:
    """The same, moved to PostgreSQL."""
    for url in places.new_postgres():
        places.done(sqlite_portal, "move_database", url)
        yield url


@pytest.fixture(scope="session")
def fresh_postgres(postgres_portal) -> str:
    """A portal that was just set up: its tables, and nothing that people made."""
    for url in places.new_postgres(like=postgres_portal):
        yield places.emptied(url)


@pytest.fixture(params=["sqlite", "postgres"])
def portal(request) -> str:
    return request.getfixturevalue(f"{request.param}_portal")


@pytest.fixture
def empty_sqlite(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/empty.sqlite3"


@pytest.fixture
def empty_postgres() -> str:
    yield from places.new_postgres()


@pytest.fixture
def tables(fresh_postgres) -> str:
    """Fresh tables on PostgreSQL: to migrate there is what takes time."""
    yield from places.new_postgres(like=fresh_postgres)


@pytest.fixture
def copy(sqlite_portal, tmp_path) -> str:
    """A portal's SQLite database that the test may spoil."""
    shutil.copy(sqlite_portal.removeprefix("sqlite:///"), tmp_path / "copy.sqlite3")
    return f"sqlite:///{tmp_path}/copy.sqlite3"


@pytest.fixture
def empty(portal, request) -> str:
    """An empty database of the portal's kind."""
    return request.getfixturevalue("empty_sqlite" if places.is_sqlite(portal) else "empty_postgres")
