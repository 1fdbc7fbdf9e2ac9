"""Tokens and requests of servers for language models, from what they answer at `/metrics`."""

import pytest

from tests.fakes.engines import LLAMACPP, SGLANG, TGI, VLLM, FakeEngine
from traceml_agent.watching import engine as module
from traceml_agent.watching.engine import Engine


@pytest.fixture
def serve():
    """Starts servers, and stops them after the test."""
    started = []

    def start(text, **counts):
        started.append(FakeEngine(text, **counts).start())
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.mark.parametrize(
    ("text", "engines", "requests"),
    [(VLLM, 2, {"requests": 4}), (SGLANG, 1, {"requests": 4}), (TGI, 1, {"requests": 4}), (LLAMACPP, 1, {})],
)
def test_what_a_server_did_while_it_was_watched_counts(serve, text, engines, requests):
    server = serve(text, tokens=1.282888e6, prompt=500, requests=7)
    engine = Engine(server.url)
    assert engine.read() == {}
    server.tokens, server.prompt, server.requests = server.tokens + 100, 530, 11
    assert engine.read() == {"tokens": engines * 100, "prompt_tokens": 30} | requests
    assert engine.read() == {}
    assert engine.trouble == ""


def test_a_server_that_comes_up_while_it_is_watched_counts_from_its_start(serve):
    server = serve(SGLANG, tokens=40, prompt=9, requests=2)
    server.stop()
    engine = Engine(server.url)
    assert engine.read() == {}
    assert "refused" in engine.trouble
    server.start()
    assert engine.read() == {"tokens": 40, "prompt_tokens": 9, "requests": 2}


def test_counters_that_appear_with_the_first_request_count_from_zero(serve):
    server = serve(SGLANG, tokens=40)
    server.answer = b"# TYPE sglang:token_usage gauge\nsglang:token_usage 0.0\n"
    engine = Engine(server.url)
    assert engine.read() == {}
    assert "no known counters" in engine.trouble
    server.answer = None
    assert engine.read() == {"tokens": 40}
    assert engine.trouble == ""


def test_counters_that_were_behind_a_wrong_answer_do_not_count_in_full(serve):
    server = serve(SGLANG, tokens=40)
    server.answer = b"<html>starting</html>"
    engine = Engine(server.url)
    assert engine.read() == {}
    server.answer = None
    assert engine.read() == {}


def test_a_restarted_server_counts_on_from_zero(serve):
    server = serve(SGLANG, tokens=1000, prompt=0, requests=0)
    engine = Engine(server.url)
    engine.read()
    server.tokens = 1200
    assert engine.read() == {"tokens": 200}
    server.tokens = 30  # of its next life
    assert engine.read() == {"tokens": 30}


def test_a_restarted_server_that_is_further_than_before_is_told_by_its_start(serve):
    server = serve(VLLM, tokens=1000, began=1.0)
    engine = Engine(server.url)
    engine.read()
    server.tokens, server.began = 1500, 2.0
    assert engine.read()["tokens"] == 2 * 1500


def test_a_pause_of_the_server_loses_nothing(serve):
    server = serve(SGLANG, tokens=10)
    engine = Engine(server.url)
    engine.read()
    server.stop()
    server.tokens = 25
    assert engine.read() == {}
    server.start()
    assert engine.read() == {"tokens": 15}


def test_of_several_models_the_chosen_one_counts(serve):
    text = 'vllm:generation_tokens_total{{model_name="a",note="x=\\"y\\",z"}} {tokens}\n'
    text += 'vllm:generation_tokens_total{{model_name="b"}} 5\n'
    server = serve(text, tokens=1)
    mine, others = Engine(server.url, "a"), Engine(server.url, "no such model")
    assert (mine.read(), others.read()) == ({}, {})
    server.tokens = 4
    assert (mine.read(), others.read()) == ({"tokens": 3}, {})
    assert "no such model" in others.trouble


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xfe\x00" * 1000,
        b'{"error": "not found"}',
        b"sglang:generation_tokens_total NaN\n",
        b"sglang:generation_tokens_total -5\nsglang:prompt_tokens_total 1e400\n",
        b"sglang:generation_tokens_total " + b"9" * 5000 + b"\n",
        b"sglang:generation_tokens_total{" + b'a="b",' * 100_000 + b"\n",
    ],
)
def test_an_answer_that_is_none_counts_nothing_and_raises_nothing(serve, answer):
    server = serve(SGLANG)
    engine = Engine(server.url)
    engine.read()
    server.answer = answer
    assert engine.read() == {}
    server.answer, server.tokens = None, 3
    assert engine.read() == {"tokens": 3}


def test_a_huge_answer_is_not_read_to_its_end(serve, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    server = serve(SGLANG)
    server.answer = b"x" * 10_000_000
    engine = Engine(server.url)
    assert engine.read() == {}
    assert "larger than" in engine.trouble


def test_the_token_goes_to_the_server_and_nowhere_else(serve):
    server, stranger = serve(SGLANG), serve(SGLANG)
    Engine(server.url, token="secret").read()
    assert server.headers[0]["Authorization"] == "Bearer secret"
    server.location = stranger.url
    engine = Engine(server.url, token="secret")
    assert engine.read() == {}
    assert "302" in engine.trouble
    assert stranger.headers == []
