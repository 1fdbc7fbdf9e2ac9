"""`manage.py move_database`: from SQLite to PostgreSQL with equal totals, or not at all."""

import pytest

from tests.backup.places import done, everything, manage, opened, refused


def test_every_row_is_moved(sqlite_portal, postgres_portal):
    assert everything(postgres_portal) == everything(sqlite_portal)


def test_new_rows_get_ids_of_their_own(copy, tables):
    done(copy, "move_database", tables)
    assert done(tables, "issue_token", "--team", "A new team", "--project", "P").startswith("tml_")
    with opened(tables) as rows:
        (last,) = rows.execute("SELECT MAX(id) FROM runs_team").fetchone()
        (name,) = rows.execute("SELECT name FROM runs_team WHERE id = %s", [last]).fetchone()
    assert name == "A new team"


def test_a_target_with_something_in_it_is_left_as_it_is(sqlite_portal, postgres_portal):
    before = everything(postgres_portal)
    assert "not empty" in refused(sqlite_portal, "move_database", postgres_portal)
    assert everything(postgres_portal) == before


@pytest.mark.parametrize("text", ["a' || char(0) || 'b", "x" * 201])
def test_what_postgresql_can_not_hold_is_named_and_nothing_is_moved(copy, tables, text):
    with opened(copy) as rows:
        rows.execute(f"UPDATE runs_run SET name = '{text}'")
    assert "Nothing was moved" in refused(copy, "move_database", tables)
    assert everything(tables)["runs_run"] == []


def test_an_older_database_is_migrated_first(copy, tables):
    with opened(copy) as rows:
        rows.execute(
            "DELETE FROM django_migrations WHERE id = (SELECT MAX(id) FROM django_migrations WHERE app = 'runs')"
        )
    assert "Run migrate first" in refused(copy, "move_database", tables)


def test_a_writer_that_does_not_end_is_named(copy, tables):
    with opened(copy) as rows:
        rows.execute("BEGIN IMMEDIATE")
        assert "Stop the portal first" in refused(copy, "move_database", tables)


@pytest.mark.parametrize(
    "url", ["mysql://host/name", "nonsense", "sqlite:////tmp/x", "postgres://nobody@127.0.0.1:1/x"]
)
def test_another_target_is_refused(sqlite_portal, url):
    refused(sqlite_portal, "move_database", url)


def test_the_password_is_in_no_line_that_it_prints(sqlite_portal):
    answer = manage(sqlite_portal, "move_database", "postgres://somebody:swordfish@127.0.0.1:1/x")
    assert "swordfish" not in answer.stdout + answer.stderr
