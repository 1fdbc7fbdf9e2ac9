"""Hosted models: the real clients and the real EcoLogits, against a server on this machine that answers like theirs."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.services import counted

MODEL, CLAUDE = "gpt-4o-mini", "claude-haiku-4-5"
TOKENS = 40


def chat(model: str) -> dict:
    message = {"role": "assistant", "content": "Ganymede"}
    usage = {"prompt_tokens": 12, "completion_tokens": TOKENS, "total_tokens": 12 + TOKENS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


def chunks(model: str) -> list[dict]:
    """The role, five tokens, and the end."""
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in "abcde"), {}]
    ends = [None] * 6 + ["stop"]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model}
    return [
        head | {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in zip(deltas, ends, strict=True)
    ]


def message(model: str) -> dict:
    content = [{"type": "text", "text": "Ganymede"}]
    about = {"id": "m", "type": "message", "role": "assistant", "stop_reason": "end_turn", "stop_sequence": None}
    return about | {"model": model, "content": content, "usage": {"input_tokens": 12, "output_tokens": TOKENS}}


def message_events(model: str) -> list[dict]:
    begun = message(model) | {"content": [], "stop_reason": None, "usage": {"input_tokens": 12, "output_tokens": 1}}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Ganymede"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": TOKENS - 1}},
        {"type": "message_stop"},
    ]


class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_chat = self.path.endswith("/chat/completions")
        self.send_response(200)
        if asked.get("stream"):
            events = chunks(asked["model"]) if is_chat else message_events(asked["model"])
            lines = [f"event: {each.get('type', 'message')}\ndata: {json.dumps(each)}\n\n" for each in events]
            body, kind = "".join(lines) + ("data: [DONE]\n\n" if is_chat else ""), "text/event-stream"
        else:
            body, kind = json.dumps((chat if is_chat else message)(asked["model"])), "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *about):
        pass


@pytest.fixture
def provider(environment):
    """The variables of a user of these providers, whose address is this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    environment |= {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
    environment |= {"ANTHROPIC_BASE_URL": url}
    yield
    server.shutdown()
    server.server_close()


def device(stored: dict) -> tuple[dict, dict]:
    """The facts and the last counters of a run's only device."""
    finish = stored["finishes"][-1]
    (facts,), (sample,) = finish["devices"], finish["samples"]
    return facts, sample


ASK = """
import asyncio, json
from anthropic import Anthropic
from openai import AsyncOpenAI, OpenAI
from traceml_agent.integrations.ecologits import track_api

track_api(tags=["assistant"])
question = [{"role": "user", "content": "Which is the largest moon?"}]
answers = [OpenAI().chat.completions.create(model="gpt-4o-mini", messages=question)]
streams = [[*OpenAI().chat.completions.create(model="gpt-4o-mini", messages=question, stream=True)]]


async def ask():
    answers.append(await AsyncOpenAI().chat.completions.create(model="gpt-4o-mini", messages=question))
    stream = await AsyncOpenAI().chat.completions.create(model="gpt-4o-mini", messages=question, stream=True)
    streams.append([chunk async for chunk in stream])


asyncio.run(ask())
claude = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": question}
messages = [Anthropic().messages.create(**claude)]
with Anthropic().messages.stream(**claude) as stream:
    text = "".join(stream.text_stream)
impacts = [answer.impacts for answer in answers] + [stream[-1].impacts for stream in streams]
energies = {"gpt": [each.usage.energy.value for each in impacts]}
energies["claude"] = [each.impacts.usage.energy.value for each in (*messages, stream)]
print(json.dumps({name: [[each.min, each.max] for each in values] for name, values in energies.items()}))
print(answers[0].choices[0].message.content, "".join(each.choices[0].delta.content or "" for each in streams[0]), text)
"""


def test_every_answer_counts_with_the_energy_that_ecologits_gives_it(run, provider, arrived):
    out, _ = run(ASK)
    told, said = out.splitlines()
    assert said == "Ganymede abcde Ganymede"
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(2)}
    assert runs.keys() == {MODEL, CLAUDE}
    for name, energies in zip((MODEL, CLAUDE), json.loads(told).values(), strict=True):
        facts, sample = device(runs[name])
        low, high = (sum(ends) * 3.6e6 for ends in zip(*energies, strict=True))
        assert (facts["kind"], facts["basis"], facts["method"]) == ("other", "modelled", "EcoLogits 0.11.3")
        assert sample["energy_j"] == pytest.approx((low + high) / 2, abs=2e-6)
        assert facts["range_low"] == pytest.approx(2 * low / (low + high))
        assert facts["range_high"] == pytest.approx(2 * high / (low + high))
    gpt, claude = runs[MODEL], runs[CLAUDE]
    assert device(gpt)[0]["name"] == "gpt-4o-mini (openai)"
    assert (counted([gpt]), counted([claude])) == ({"requests": (4, 4)}, {"requests": (2, 2)})
    assert sum(metrics(gpt)["tokens"]) == 2 * TOKENS + 2 * 5
    assert sum(metrics(claude)["tokens"]) == 2 * TOKENS
    assert sum(metrics(gpt)["prompt_tokens"]) == 2 * 12
    for stored in (gpt, claude):
        header = stored["headers"][0]
        assert (header["kind"], header["tags"], status(stored)) == ("inference", ["assistant"], "completed")


def test_answers_counted_elsewhere_have_the_energy_of_as_many_requests(run, arrived):
    out, err = run("""
        import math
        from ecologits.tracers.utils import llm_impacts
        from traceml_agent.integrations import hosted

        hosted.log(model="gpt-4o-mini", provider="openai", output_tokens=4000, requests=10)
        hosted.log(model="gpt-4o-mini", provider="openai", output_tokens=100, latency_s=0.01)
        hosted.log(model="no such model", provider="openai", output_tokens=100, requests=3)
        hosted.log(model="gpt-4o-mini", provider="no such provider", output_tokens=100)
        each = llm_impacts("openai", "gpt-4o-mini", 400, math.inf).usage.energy.value.mean
        print(10 * each + llm_impacts("openai", "gpt-4o-mini", 100, 0.01).usage.energy.value.mean)
    """)
    (stored,) = arrived()
    assert device(stored)[1]["energy_j"] == pytest.approx(float(out) * 3.6e6)
    assert counted([stored]) == {"requests": (11, 11)}
    left_out = {row["reason"]: row["count"] for row in stored["finishes"][-1]["left_out"]}
    assert left_out == {
        "EcoLogits 0.11.3 does not know the model no such model of openai": 3,
        "EcoLogits 0.11.3 does not know the model gpt-4o-mini of no such provider": 1,
    }
    assert "does not know the model no such model" in err
    assert "modelled, not measured" in err
    assert "% measured" not in err


def test_a_hosted_models_run_is_apart_from_that_of_the_process(run, provider, arrived):
    run("""
        import traceml_agent
        from traceml_agent.integrations import hosted

        with traceml_agent.track("local") as run:
            hosted.log(model="gpt-4o-mini", provider="openai", output_tokens=4000)
            assert traceml_agent.current_run() is run
        hosted.log(model="gpt-4o-mini", provider="openai", output_tokens=4000)
        assert not traceml_agent.current_run()
    """)
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(2)}
    bases = {name: {facts["basis"] for facts in stored["finishes"][-1]["devices"]} for name, stored in runs.items()}
    assert bases[MODEL] == {"modelled"}
    assert "modelled" not in bases["local"]


@pytest.mark.parametrize("off", ["", "1"])
def test_answers_are_the_same_with_the_portal_down_or_the_agent_off(run, provider, portal, off):
    portal.stop()
    out, _ = run(ASK, TRACEML_AGENT_DISABLED=off)
    assert out.splitlines()[1] == "Ganymede abcde Ganymede"


def test_the_page_about_hosted_models_is_true(run, provider, arrived):
    asking, logging = blocks("docs/integrations/hosted-models.md", "python")
    out, _ = run(f"{asking}\n{logging}")
    assert out == "Ganymede\n"
    (stored,) = arrived()
    assert counted([stored]) == {"requests": (401, 401)}
    assert sum(metrics(stored)["tokens"]) == 120_000 + TOKENS
