"""FastAPI and Starlette: requests of a service that a real uvicorn or gunicorn serves."""

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.fakes.portal import ROOT
from tests.integrations.services import counted, free_port, served, wait_until_counted

AGENT = ROOT / "agent" / "src"
SERVICE = """
import asyncio, time
from fastapi import APIRouter, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from traceml_agent.integrations.asgi import TraceMLMiddleware, count

app = FastAPI()
app.add_middleware(TraceMLMiddleware, model="greeter")
router = APIRouter()


@router.get("/users/{user}")
async def one(user: int):
    return {"user": user}


app.include_router(router, prefix="/v1/{tenant}")


@app.post("/predict")
def predict(rows: list[int]):
    count(items=len(rows))
    return rows


@app.get("/stream")
async def stream():
    async def tokens():
        for word in ("a", "b", "c"):
            await asyncio.sleep(0.1)
            count(tokens=1)
            yield word

    return StreamingResponse(tokens())


@app.get("/broken")
def broken():
    raise RuntimeError("no model")


@app.get("/health")
def health():
    return "ok"


@app.websocket("/chat/{room}")
async def chat(socket: WebSocket, room: str):
    await socket.accept()
    async for text in socket.iter_text():
        count(items=1)
        await socket.send_text(text.upper())
"""


@pytest.fixture
def service(environment, interpreter, tmp_path, processes):
    (tmp_path / "service.py").write_text(SERVICE)
    port = free_port()

    def serve(*words, module="uvicorn", **more):
        options = {"uvicorn": ["service:app", "--port", str(port), "--log-level", "warning"]}
        options["gunicorn"] = ["service:app", "-b", f"127.0.0.1:{port}", "-k", "uvicorn.workers.UvicornWorker"]
        return served([interpreter, "-m", module, *options[module], *words], port, environment | more, tmp_path)

    return serve


def test_requests_count_by_route_with_what_the_service_says_of_them(service, arrived):
    with service() as serving:
        for user in (1, 2, 3):
            assert serving.ask(f"/v1/acme/users/{user}").json() == {"user": user}
        assert serving.ask("/predict", "POST", json=[1, 2, 3, 4]).json() == [1, 2, 3, 4]
        assert serving.ask("/predict", "POST", json="no list").status_code == 422
        assert serving.ask("/stream").text == "abc"
        assert serving.ask("/broken").status_code == 500
        assert serving.ask("/nowhere").status_code == 404
        assert serving.ask("/health").text == '"ok"'
        serving.stop()
    (stored,) = arrived()
    assert (stored["headers"][0]["model"], stored["headers"][0]["kind"], status(stored)) == (
        "greeter",
        "inference",
        "completed",
    )
    assert counted([stored]) == {
        "GET /v1/{tenant}/users/{user}": (3, 3),
        "POST /predict": (2, 4),
        "GET /stream": (1, 1),
        "GET /broken (failed)": (1, 0),
        "GET /…": (1, 0),
    }
    assert sum(metrics(stored)["tokens"]) == 3
    busy = {row["method"]: row["busy_s"] for b in stored["batches"].values() for row in b.get("calls", [])}
    assert busy["GET /stream"] >= 0.3


@pytest.mark.parametrize(
    ("module", "words"),
    [("uvicorn", ["--workers", "2"]), ("gunicorn", ["-w", "2"]), ("gunicorn", ["-w", "2", "--preload"])],
)
def test_all_workers_of_a_server_count_in_one_run(service, portal, arrived, module, words):
    with service(*words, module=module) as serving:
        serving.ask("/health")
        portal.wait_for(lambda p: sum(len(run["headers"]) for run in p.runs().values()) == 2, 30)
        for _ in range(20):  # each on a connection of its own, which any worker may take
            assert serving.ask("/v1/acme/users/1").status_code == 200
        serving.stop()
    wait_until_counted(portal, 20)
    (stored,) = arrived()
    assert counted([stored]) == {"GET /v1/{tenant}/users/{user}": (20, 20)}
    assert {finish["status"] for finish in stored["finishes"]} == {"completed"}
    assert len({header["writer"] for header in stored["headers"]}) == 2


def test_words_of_a_client_never_become_names(run, arrived, tmp_path):
    """Paths and methods are a client's to choose; names by them would fill the run's table, or tell secrets."""
    (tmp_path / "service.py").write_text(SERVICE)
    run(
        """
        from starlette.testclient import TestClient
        from service import app
        with TestClient(app) as client:
            for number in range(150):
                client.request(f"M{number}", f"/secret-{number}")
                client.get(f"/v1/secret-{number}/users/{number}")
        """,
        PYTHONPATH=f"{tmp_path}:{AGENT}",
    )
    (stored,) = arrived()
    assert counted([stored]) == {"OTHER /…": (150, 0), "GET /v1/{tenant}/users/{user}": (150, 150)}


def test_a_connection_is_one_request_and_not_busy_while_it_waits_for_its_client(run, arrived, tmp_path):
    (tmp_path / "service.py").write_text(SERVICE)
    run(
        """
        import time
        from starlette.testclient import TestClient
        from service import app
        with TestClient(app) as client, client.websocket_connect("/chat/7") as socket:
            for text in ("a", "b"):
                time.sleep(0.5)
                socket.send_text(text)
                assert socket.receive_text() == text.upper()
        """,
        PYTHONPATH=f"{tmp_path}:{AGENT}",
    )
    (stored,) = arrived()
    assert counted([stored]) == {"WS /chat/{room}": (1, 2)}
    (row,) = [row for batch in stored["batches"].values() for row in batch.get("calls", [])][-1:]
    assert row["busy_s"] < 0.5


@pytest.mark.parametrize("how", ["the portal is down", "the agent is switched off", "no disk can be written"])
def test_a_service_answers_the_same_whatever_becomes_of_the_agent(run, portal, tmp_path, how):
    (tmp_path / "service.py").write_text(SERVICE)
    portal.stop()
    more = {"the agent is switched off": {"TRACEML_AGENT_DISABLED": "1"}}
    more["no disk can be written"] = {
        "TRACEML_AGENT_SPOOL_DIR": "/proc/nowhere",
        "TRACEML_AGENT_MEMORY": "/proc/nowhere",
    }
    out, _ = run(
        """
        from starlette.testclient import TestClient
        from service import app
        with TestClient(app, raise_server_exceptions=False) as client:
            answers = [client.get(path) for path in ("/v1/acme/users/1", "/stream", "/broken", "/nowhere")]
            answers.append(client.post("/predict", json=[1, 2]))
        print([(answer.status_code, answer.text) for answer in answers])
        """,
        PYTHONPATH=f"{tmp_path}:{AGENT}",
        **more.get(how, {}),
    )
    whole = [(200, '{"user":1}'), (200, "abc"), (500, "Internal Server Error"), (404, '{"detail":"Not Found"}')]
    assert out == f"{[*whole, (200, '[1,2]')]}\n"


def test_the_page_about_fastapi_is_true(environment, interpreter, processes, tmp_path, arrived):
    (code,) = blocks("docs/integrations/fastapi.md", "python")
    (command,) = blocks("docs/integrations/fastapi.md", "sh")
    (tmp_path / "service.py").write_text(code)
    port = free_port()
    words = [interpreter, "-m", *command.split(), "--port", str(port)]
    with served(words, port, environment, tmp_path) as serving:
        assert serving.ask("/predict", "POST", json=["Ada", "Bob"]).json() == ["hello Ada", "hello Bob"]
        serving.stop()
    (stored,) = arrived()
    assert counted([stored]) == {"POST /predict": (1, 2)}
    assert sum(metrics(stored)["tokens"]) == 4
