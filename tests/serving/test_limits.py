"""Limits as clients meet them: over all workers of a real server, on either database."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from runs.limits import BAD_TOKENS, GUESSES, Limit
from tests.backup import places
from tests.serving import servers

WORKERS, CONNECTIONS = 4, 6
TEAM = ("--team", "Vision lab", "--project", "Digits", "--scopes", "ingest,read")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> Iterator[str]:
    urls = places.new_postgres() if request.param == "postgresql" else iter([f"sqlite:///{tmp_path}/traceml.sqlite3"])
    for url in urls:
        places.done(url, "migrate", "--verbosity", "0")
        yield url


def token(url: str) -> str:
    return places.done(url, "issue_token", *TEAM).strip()


def asked(port: int, times: int, path: str, method: str = "GET", body: bytes = b"", **headers) -> list[tuple]:
    """Status, Retry-After and body of each of so many answers, over a few connections at once."""

    def one_connection(_) -> list[tuple]:
        client, found = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
        for _ in range(times // CONNECTIONS):
            client.request(method, path, body or None, headers)
            answer = client.getresponse()
            found.append((answer.status, answer.getheader("Retry-After"), answer.read()))
        client.close()
        return found

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [each for found in pool.map(one_connection, range(CONNECTIONS)) for each in found]


def assert_most(answers: list[tuple], status: int, limit: Limit, began: float) -> None:
    """As many have this status as the limit allows, and what it regained since; all others are refused."""
    found = Counter(each for each, *_ in answers)
    regained = (time.monotonic() - began) * limit.most / limit.span_s
    assert limit.most <= found[status] <= limit.most + regained
    assert found[429] == len(answers) - found[status]


def test_all_workers_count_together(url, tmp_path):
    greedy, honest = (f"Bearer {token(url)}" for _ in range(2))
    with servers.portal(url, tmp_path / "log", WEB_CONCURRENCY=str(WORKERS)) as port:
        reads = Counter(status for status, *_ in asked(port, 700, "/api/v1/runs", Authorization=greedy))
        assert set(reads) == {200, 429}
        assert 480 <= reads[200] < 650
        assert {status for status, *_ in asked(port, 60, "/api/v1/runs", Authorization=honest)} == {200}

        began = time.monotonic()
        wrong = asked(port, 400, "/api/v1/runs", Authorization=f"Bearer tml_{'0' * 12}_{'x' * 43}")
        assert_most(wrong, 401, BAD_TOKENS, began)
        refused = next(each for each in wrong if each[0] == 429)
        assert int(refused[1]) >= 1
        assert json.loads(refused[2])["detail"].startswith("Too many requests with a wrong token from this address.")
        assert {status for status, *_ in asked(port, 12, "/api/v1/runs", Authorization=honest)} == {200}

        began = time.monotonic()
        assert_most(asked(port, 200, f"/s/{'x' * 43}/"), 404, GUESSES, began)
