"""Flask: requests of a service that a real gunicorn serves."""

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.fakes.portal import ROOT
from tests.integrations.services import counted, free_port, served, wait_until_counted

AGENT = ROOT / "agent" / "src"
SERVICE = """
import time
from flask import Blueprint, Flask, Response, abort
from traceml_agent.integrations.flask import TraceML, count

tracking = TraceML(model="greeter")


def create():
    app = Flask("service")
    tracking.init_app(app)

    @app.before_request
    def refuse_some():
        from flask import request
        if "refuse" in request.args:
            abort(403)

    users = Blueprint("users", "users", url_prefix="/v1")

    @users.get("/users/<int:user>")
    def one(user):
        return {"user": user}

    app.register_blueprint(users)

    @app.get("/stream")
    def stream():
        def words():
            for word in ("a", "b", "c"):
                time.sleep(0.1)
                count(tokens=1)
                yield word
        return Response(words())

    @app.get("/breaks")
    def breaks():
        def words():
            yield "a"
            raise RuntimeError("in the midst of it")
        return Response(words())

    @app.get("/broken")
    def broken():
        raise RuntimeError("no model")

    return app


app = create()
"""
#: Requests of a client, and how each is counted.
ASKED = """
client = app.test_client()
paths = ["/v1/users/1", "/v1/users/2", "/v1/users/1?refuse", "/stream", "/broken", "/nowhere"]
answers = [client.get(path) for path in paths]
print([(answer.status_code, answer.text.splitlines()[0]) for answer in answers])
try:
    print(client.get("/breaks").text)
except RuntimeError as error:
    print(error)
print(client.options("/v1/users/1").status_code)
"""


def test_requests_count_by_route_until_their_last_byte(run, arrived, tmp_path):
    (tmp_path / "service.py").write_text(SERVICE)
    run(f"from service import app\n{ASKED}", PYTHONPATH=f"{tmp_path}:{AGENT}")
    (stored,) = arrived()
    assert (stored["headers"][0]["model"], stored["headers"][0]["kind"], status(stored)) == (
        "greeter",
        "inference",
        "completed",
    )
    assert counted([stored]) == {
        "GET /v1/users/<int:user>": (3, 2),
        "GET /stream": (1, 1),
        "GET /broken (failed)": (1, 0),
        "GET /breaks (failed)": (1, 0),
        "GET /…": (1, 0),
        "OPTIONS /v1/users/<int:user>": (1, 0),
    }
    assert sum(metrics(stored)["tokens"]) == 3
    busy = {row["method"]: row["busy_s"] for b in stored["batches"].values() for row in b.get("calls", [])}
    assert busy["GET /stream"] >= 0.3


@pytest.mark.parametrize("disabled", ["", "1"])
def test_a_service_answers_the_same_with_the_portal_down_or_the_agent_off(run, portal, tmp_path, disabled):
    portal.stop()
    bare = SERVICE.replace("tracking.init_app(app)", "")
    answers = []
    for name, code in (("bare", bare), ("tracked", SERVICE)):
        (tmp_path / f"{name}.py").write_text(code)
        more = {"PYTHONPATH": f"{tmp_path}:{AGENT}"} | ({"TRACEML_AGENT_DISABLED": "1"} if disabled else {})
        out, _ = run(f"from {name} import app\n{ASKED}", **more)
        answers.append(out)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("option", ["", "--preload"])
def test_the_page_about_flask_is_true_for_all_workers_of_a_server(
    environment, interpreter, processes, tmp_path, portal, arrived, option
):
    (code,), (command,) = blocks("docs/integrations/flask.md", "python"), blocks("docs/integrations/flask.md", "sh")
    (tmp_path / "service.py").write_text(code)
    port = free_port()
    words = [interpreter, "-m", *command.split(), *option.split(), "-b", f"127.0.0.1:{port}"]
    with served(words, port, environment, tmp_path) as serving:
        for _ in range(10):
            assert serving.ask("/predict", "POST", json=["Ada", "Bob"]).json() == ["hello Ada", "hello Bob"]
        serving.stop()
    wait_until_counted(portal, 10)
    (stored,) = arrived()
    assert counted([stored]) == {"POST /predict": (10, 20)}
    assert {finish["status"] for finish in stored["finishes"]} == {"completed"}
