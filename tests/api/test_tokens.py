"""Who may call the API: tokens, their scopes and their end."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from runs.models import ApiToken
from tests import people as cast
from tests.wire import Wire, header

pytestmark = pytest.mark.django_db

PATHS = ["runs", "models", "summary", "hardware", "factor", f"runs/{uuid.uuid4()}", f"runs/{uuid.uuid4()}/series"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", ["", "nonsense", "tml_", "tml_abcdefabcdef_" + "x" * 43, "tml_é_x"])
def test_without_a_known_token_every_read_is_401(client, db, path, token):
    answer = Wire(client, token).get(path)
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_without_a_token_a_write_is_401(client, db):
    assert client.put(f"/api/v1/runs/{uuid.uuid4()}", "{}", content_type="application/json").status_code == 401


def test_a_login_session_is_no_token(client, people):
    client.force_login(people.alice)
    assert client.get("/api/v1/runs").status_code == 401


def test_a_read_token_may_not_write_and_an_ingest_token_may_not_read(client, people):
    reader = Wire(client, cast.token(people.project, "read"))
    writer = Wire(client, cast.token(people.project, "ingest"))
    assert reader.put(f"runs/{uuid.uuid4()}", header()).status_code == 403
    assert writer.get("runs").status_code == 403
    run_id = uuid.uuid4()
    assert writer.put(f"runs/{run_id}", header()).status_code == 201
    assert writer.get(f"runs/{run_id}").status_code == 403
    assert reader.get(f"runs/{run_id}").status_code == 200


def test_a_revoked_token_ends_at_the_next_request(client, people):
    token, plain_text = ApiToken.issue(people.project, "laptop", ["read"])
    assert Wire(client, plain_text).get("runs").status_code == 200
    token.revoke()
    assert Wire(client, plain_text).get("runs").status_code == 401


def test_an_expired_token_is_refused(client, people):
    _, plain_text = ApiToken.issue(people.project, "x", ["read"], expires_at=timezone.now() - timedelta(seconds=1))
    assert Wire(client, plain_text).get("runs").status_code == 401


def test_the_database_holds_no_plain_text(people):
    _, plain_text = ApiToken.issue(people.project, "laptop", ["read"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM runs_apitoken")
        stored = str(cursor.fetchall())
    assert plain_text not in stored
    assert plain_text.split("_", 2)[2] not in stored


def test_a_token_remembers_its_last_use_and_the_agents_version(client, people):
    token, plain_text = ApiToken.issue(people.project, "laptop", ["read"])
    client.get("/api/v1/runs", headers={"Authorization": f"Bearer {plain_text}", "User-Agent": "traceml-agent/0.1.0"})
    token.refresh_from_db()
    assert token.last_used_agent == "traceml-agent/0.1.0"
    assert timezone.now() - token.last_used_at < timedelta(minutes=1)
