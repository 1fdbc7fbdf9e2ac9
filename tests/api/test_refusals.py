"""A project keeps its last refused request, with the reason and without anything secret."""

import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from runs.models import ApiToken, Refusal
from tests.wire import Wire, batch, header

pytestmark = pytest.mark.django_db
MARK = "daydreaming-secret-0123"


@pytest.fixture
def token(people) -> tuple[ApiToken, str]:
    return ApiToken.issue(people.project, "cluster", ["ingest"])


def put(client, plain_text: str, body=None):
    return Wire(client, plain_text).put(f"runs/{uuid.uuid4()}", header() if body is None else body)


def reason() -> str:
    return Refusal.objects.get().reason


def test_a_revoked_token_is_told(client, token):
    token[0].revoke()
    put(client, token[1])
    assert reason() == f"The token {token[0].prefix} is revoked. Create a new one."


def test_an_expired_token_is_told(client, token):
    ApiToken.objects.update(expires_at=timezone.now())
    put(client, token[1])
    assert "is expired" in reason()


def test_a_token_that_was_not_copied_whole_is_told(client, token):
    put(client, token[1][:-3])
    assert "Copy the whole token" in reason()


def test_a_missing_scope_is_told(client, people):
    _, plain_text = ApiToken.issue(people.project, "script", ["read"])
    assert put(client, plain_text).status_code == 403
    assert reason() == "This token lacks the scope 'ingest'."


def test_a_batch_before_its_header_is_told(client, token):
    Wire(client, token[1]).send(str(uuid.uuid4()), "b-1", batch())
    assert reason() == "This project has no run with this id. Send the run's header first."


def test_a_reader_that_asks_for_what_is_not_there_is_no_refusal(client, people):
    _, plain_text = ApiToken.issue(people.project, "script", ["read"])
    assert Wire(client, plain_text).get(f"runs/{uuid.uuid4()}").status_code == 404
    assert not Refusal.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        header(kind=MARK),
        header(params=MARK),
        header(params={MARK: "\x00"}),
        header(started_at=MARK),
        header(model=[MARK]),
        MARK.encode(),
    ],
    ids=str,
)
def test_nothing_of_the_body_or_the_token_is_kept(client, token, body):
    assert put(client, token[1], body).status_code in (400, 422)
    kept = str(Refusal.objects.values_list().get())
    assert MARK not in kept
    assert token[1].split("_", 2)[2] not in kept


def test_it_is_written_at_most_once_in_five_seconds(client, token):
    put(client, token[1], {})
    first = Refusal.objects.get().at
    put(client, token[1][:-3])
    assert Refusal.objects.get().at == first
    Refusal.objects.update(at=first - timedelta(seconds=6))
    put(client, token[1][:-3])
    assert "Copy the whole token" in reason()


@pytest.mark.parametrize("plain_text", ["", "nonsense", "tml_abcdefabcdef_" + "x" * 43])
def test_a_token_that_nobody_has_is_nobodys_refusal(client, token, plain_text):
    assert put(client, plain_text).status_code == 401
    assert not Refusal.objects.exists()


def test_an_answer_goes_out_also_where_the_refusal_can_not_be_kept(client, token, monkeypatch):
    def fail(*arguments):
        raise DatabaseError

    monkeypatch.setattr(Refusal, "note", fail)
    assert put(client, token[1], {}).status_code == 422
