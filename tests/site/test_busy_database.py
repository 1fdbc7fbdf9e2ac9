"""While another holds the database: reads are answered, and who would write is told to come again, by a page."""

import sqlite3

import psycopg
import pytest
from django.db import connection

from runs.models import ApiToken
from tests import people as cast
from tests.wire import Wire, header

pytestmark = pytest.mark.django_db(transaction=True)
TABLES = "django_session, runs_apitoken, runs_team, runs_user, runs_run, runs_project, runs_refusal"


@pytest.fixture
def hold():
    """Keeps all others from writing, as a long import does on SQLite and a lock of its tables on PostgreSQL."""
    held = []

    def begin(kind="SHARE"):
        if connection.vendor == "sqlite":
            held.append(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None))
            held[0].execute("BEGIN IMMEDIATE")
            connection.cursor().execute("PRAGMA busy_timeout = 50")
        else:
            held.append(psycopg.connect(**{key: connection.get_connection_params()[key] for key in OF_A_SERVER}))
            held[0].execute(f"LOCK TABLE {TABLES} IN {kind} MODE")
            connection.cursor().execute("SET statement_timeout = 200")

    yield begin
    for other in held:
        other.rollback()
        other.close()
    connection.close()


OF_A_SERVER = ("dbname", "user", "password", "host", "port")


@pytest.fixture
def alice(people, client):
    client.raise_request_exception = False
    client.force_login(people.alice)
    return client


def is_friendly(answer) -> bool:
    told = "The database is busy and nothing was changed. Try again in a few seconds."
    return (answer.status_code, int(answer["Retry-After"])) == (503, 5) and told in answer.content.decode()


def test_a_form_is_answered_by_a_page_that_says_to_try_again(alice, hold):
    hold()
    assert is_friendly(alice.post("/settings/profile/", {"time_zone": "UTC", "theme": "dark"}))
    assert is_friendly(alice.post("/settings/new-team/", {"name": "Another"}))


def test_so_is_a_page_that_only_keeps_something_in_the_session(alice, hold, people):
    """What the session's own middleware raises is met by no view."""
    from runs.models import Team

    Team.found("Second", people.alice)
    hold()
    assert is_friendly(alice.get("/", {"team": "vision-lab"}))


def test_so_is_one_whose_reader_can_not_be_looked_up(alice, hold):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's readers wait for nobody")
    hold("ACCESS EXCLUSIVE")
    assert is_friendly(alice.get("/settings/profile/"))


def test_a_page_that_only_reads_is_there(alice, hold):
    hold()
    assert alice.get("/settings/profile/").status_code == 200


def test_the_api_reads_without_noting_that_the_token_was_used(people, client, hold):
    wire = Wire(client, cast.token(people.project))
    hold()
    assert wire.get("runs").status_code == 200
    assert ApiToken.objects.get().last_used_at is None


def test_an_upload_is_answered_by_a_problem_that_says_when_to_try_again(people, client, hold):
    wire = Wire(client, cast.token(people.project))
    hold()
    answer = wire.put("runs/0f4e0000-0000-4000-8000-000000000000", header())
    assert (answer.status_code, answer["Retry-After"], answer["Content-Type"]) == (503, "5", "application/problem+json")


def test_once_it_is_free_the_use_is_noted(people, client, hold):
    wire = Wire(client, cast.token(people.project))
    wire.get("runs")
    assert ApiToken.objects.get().last_used_at is not None
