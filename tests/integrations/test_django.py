"""Django: requests of a service under WSGI and ASGI."""

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.fakes.portal import ROOT
from tests.integrations.services import counted, free_port, served, wait_until_counted

AGENT = ROOT / "agent" / "src"
SETTINGS = """
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
"""
URLS = """
import asyncio, time
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from traceml_agent.integrations.django import count
import views


async def soon(request):
    await asyncio.sleep(0)
    return HttpResponse("soon")


def stream(request):
    def words():
        for word in ("a", "b", "c"):
            time.sleep(0.1)
            count(tokens=1)
            yield word
    return StreamingHttpResponse(words())


async def flow(request):
    async def words():
        for word in ("a", "b"):
            await asyncio.sleep(0.1)
            count(tokens=1)
            yield word
    return StreamingHttpResponse(words())


def broken(request):
    raise RuntimeError("no model")


urlpatterns = [
    path("v1/", include([path("predict/<str:name>", views.predict)])),
    re_path(r"^soon/(?P<number>[0-9]+)$", lambda request, number: HttpResponse(number)),
    path("later", soon),
    path("stream", stream),
    path("flow", flow),
    path("broken", broken),
]
"""
ASK = """
import asyncio, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
django.setup()
from django.test import AsyncClient, Client
PATHS = ["/v1/predict/Ada", "/v1/predict/Bob", "/soon/7", "/later", "/stream", "/flow", "/broken", "/nowhere"]


def show(response, chunks):
    print(response.status_code, b"".join(chunks).decode().strip().splitlines()[:1])


async def answers():
    client = AsyncClient(raise_request_exception=False)
    for path in PATHS:
        response = await client.get(path)
        is_async = response.streaming and response.is_async
        show(response, [chunk async for chunk in response] if is_async else response)


if sys.argv[1] == "async":
    asyncio.run(answers())
else:
    client = Client(raise_request_exception=False)
    for path in PATHS:
        response = client.get(path)
        show(response, response)
"""


@pytest.fixture
def site(tmp_path):
    """A Django project with the settings and the view of the page."""
    lines, view = blocks("docs/integrations/django.md", "python")
    (tmp_path / "settings.py").write_text(SETTINGS + lines)
    (tmp_path / "views.py").write_text(view)
    (tmp_path / "urls.py").write_text(URLS)
    return {"PYTHONPATH": f"{tmp_path}:{AGENT}"}


@pytest.mark.parametrize("how", ["sync", "async"])
def test_requests_count_by_route_until_their_last_byte(run, arrived, site, how):
    out, _ = run(ASK, how, **site)
    assert [line.split()[0] for line in out.splitlines()] == ["200"] * 6 + ["500", "404"]
    (stored,) = arrived()
    header = stored["headers"][0]
    assert (header["model"], header["kind"], status(stored)) == ("greeter", "inference", "completed")
    assert counted([stored]) == {
        "GET /v1/predict/<str:name>": (2, 2),
        "GET /soon/(?P<number>[0-9]+)$": (1, 1),
        "GET /later": (1, 1),
        "GET /stream": (1, 1),
        "GET /flow": (1, 1),
        "GET /broken (failed)": (1, 0),
        "GET /…": (1, 0),
    }
    assert sum(metrics(stored)["tokens"]) == 2 * 2 + 3 + 2
    busy = {row["method"]: row["busy_s"] for b in stored["batches"].values() for row in b.get("calls", [])}
    assert busy["GET /stream"] >= 0.3
    assert busy["GET /flow"] >= 0.2


def test_a_service_answers_the_same_with_the_portal_down(run, portal, site, tmp_path):
    portal.stop()
    tracked, _ = run(ASK, "sync", **site)
    (tmp_path / "settings.py").write_text(SETTINGS)
    bare, _ = run(ASK, "sync", **site)
    assert tracked == bare


def test_workers_of_a_server_count_in_one_run(environment, interpreter, processes, site, tmp_path, portal, arrived):
    (tmp_path / "wsgi.py").write_text(
        "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
        "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    )
    port = free_port()
    words = [interpreter, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "wsgi:application"]
    with served(words, port, environment | site, tmp_path) as serving:
        for _ in range(10):
            assert serving.ask("/v1/predict/Ada").json() == {"answer": "hello Ada"}
        serving.stop()
    wait_until_counted(portal, 10)
    (stored,) = arrived()
    assert counted([stored]) == {"GET /v1/predict/<str:name>": (10, 10)}
    assert {finish["status"] for finish in stored["finishes"]} == {"completed"}
