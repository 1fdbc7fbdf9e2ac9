"""Services that are told to stop: whatever serves them and however many processes it has, they have completed."""

import socket
import subprocess
import sys
import time

import pytest
import requests

from tests.cases.conftest import calls, status

CALLS = 200
SERVICE = """
from traceml_agent import watch

class Greeter:
    def predict(self, names):
        return ["hello " + name for name in names]

model = watch(Greeter(), name="greeter")

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    model.predict(["Ada", "Bob"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

def wsgi(environ, respond):
    model.predict(["Ada", "Bob"])
    respond("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""
SERVERS = {
    "uvicorn": ["uvicorn", "service:asgi", "--port", "{port}"],
    "uvicorn, two workers": ["uvicorn", "service:asgi", "--port", "{port}", "--workers", "2"],
    "uvicorn, reload": ["uvicorn", "service:asgi", "--port", "{port}", "--reload"],
    "gunicorn": ["gunicorn", "service:wsgi", "-b", "127.0.0.1:{port}", "--workers", "2"],
    "gunicorn, threads": ["gunicorn", "service:wsgi", "-b", "127.0.0.1:{port}", "--threads", "4"],
    "gunicorn, preload": ["gunicorn", "service:wsgi", "-b", "127.0.0.1:{port}", "--workers", "2", "--preload"],
    "gunicorn, asgi": ["gunicorn", "service:asgi", "-b", "127.0.0.1:{port}", "-k", "asgi"],
    "under traceml-agent run": [
        *["traceml_agent", "run", "--kind", "inference", "--", sys.executable, "-m"],
        *["uvicorn", "service:asgi", "--port", "{port}"],
    ],
}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def serve(environment, processes, tmp_path):
    """Starts a server, has it answer all calls, and tells it to stop, as a container's runtime does."""
    (tmp_path / "service.py").write_text(SERVICE)

    def until_stopped(words):
        port = free_port()
        command = [sys.executable, "-m", *(word.format(port=port) for word in words)]
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
        answered, until = 0, time.monotonic() + 60
        while answered < CALLS:
            try:
                answered += requests.get(f"http://127.0.0.1:{port}/", timeout=30).text == "ok"
            except requests.ConnectionError:
                assert not answered and time.monotonic() < until
                time.sleep(0.05)
        server.terminate()
        server.wait(timeout=60)

    return until_stopped


def is_whole(portal) -> bool:
    runs = portal.runs().values()
    return sum(map(calls, runs)) == CALLS and all(run["finishes"] for run in runs)


@pytest.mark.parametrize("words", SERVERS.values(), ids=SERVERS)
def test_a_service_that_is_told_to_stop_has_completed_with_every_call(serve, portal, words):
    """Trackers and metrics clients under web servers: SIGTERM ends the workers without the hooks that would flush,
    forked workers count where nobody looks, and the run shows as lost. Within ten seconds each run is completed, and
    of 200 answers all 200 calls have arrived."""
    serve(words)
    portal.wait_for(is_whole)
    assert {status(run) for run in portal.runs().values()} == {"completed"}


def test_a_script_that_uses_a_model_and_is_told_to_stop_has_completed(start, processes, portal):
    """A worker that takes tasks from a queue, without any framework: the default of SIGTERM ends Python on the spot.
    It ends of that signal as it would without us, and its calls, made a moment ago, have arrived as completed."""
    process = start("""
        import time
        from traceml_agent import watch

        class Model:
            def predict(self, names):
                return names

        model = watch(Model())
        for _ in range(200):
            model.predict(["Ada"])
        print("ready", flush=True)
        time.sleep(60)
    """)
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == -15
    portal.wait_for(is_whole)
    assert {status(run) for run in portal.runs().values()} == {"completed"}
