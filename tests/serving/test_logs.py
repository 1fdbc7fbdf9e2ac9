"""Promise PS30: a request's id in every line about it, and no secret in any."""

import json
import logging

import pytest

from tests.serving import servers
from traceml_site import logs

SECRET = "Zk3vQ9sWq1XyT7uB2mLd"
PATHS = [
    f"/s/{SECRET}/",
    f"/s/{SECRET}/runs/1/",
    f"/join/{SECRET}/",
    f"/accounts/password/reset/key/1-{SECRET}/",
    f"/accounts/confirm-email/{SECRET}/",
    f"/badge/{SECRET}.svg",
    f"/tml_abcdefgh_{SECRET}/",
    f"/api/hooks/codecarbon/{SECRET}",
    f"/nowhere/?token={SECRET}",
    f"/accounts/oidc/oidc/login/callback/?code={SECRET}&state={SECRET}",
    f"/s//{SECRET}/",
    f"/S/{SECRET}",
    f"/accounts/confirm-email/{SECRET}%3Aabc/",
    f"/accounts/login/?next=%2Fjoin%2F{SECRET}%2F",
    f"/accounts/login/?next=/accounts%2fpassword%2freset%2fkey%2f1-{SECRET}/",
]
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "BREW")


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_of_a_request_is_in_the_log(database_url, tmp_path, form):
    """Whatever the method, and however broken the request is."""
    log = tmp_path / "log"
    settings = {"TRACEML_LOG": form, "TRACEML_LOG_REQUESTS": "1", "LOG_LEVEL": "info"}
    settings["GUNICORN_CMD_ARGS"] = "--access-logfile - --error-logfile - --log-level debug"
    with servers.portal(database_url, log, **settings) as port:
        for path in PATHS:
            for method in METHODS:
                head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nReferer: http://127.0.0.1{path}\r\n"
                ask(port, f"{head}Authorization: Bearer tml_ab_{SECRET}\r\n")
            ask(port, f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n")
            ask(port, f"GET {path} HTTP/9.9\r\nHost: 127.0.0.1\r\n")
            ask(port, f"GET {path} {path} HTTP/1.1\r\n")
        ask(port, "GET /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    text = log.read_text()
    assert "/accounts/login/" in text
    assert "/s/…/" in text
    assert SECRET not in text


def ask(port: int, head: str) -> bytes:
    with servers.dial(port, f"{head}Connection: close\r\nContent-Length: 0\r\n\r\n".encode()) as sock:
        return servers.read_all(sock)


def test_a_line_has_the_id_that_the_answer_has(database_url, tmp_path):
    log = tmp_path / "log"
    with servers.portal(database_url, log, TRACEML_LOG="json", TRACEML_LOG_REQUESTS="1") as port:
        answer = ask(port, "GET /nowhere/ HTTP/1.1\r\nHost: 127.0.0.1\r\n").decode()
    (told,) = (line.removeprefix("X-Request-ID: ") for line in answer.splitlines() if line.startswith("X-Request-ID"))
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    (request,) = (line for line in lines if line["name"] == "traceml.requests" and line["request_id"] == told)
    assert (request["method"], request["path"], request["status"]) == ("GET", "/nowhere/", 404)


@pytest.mark.parametrize("path", ["/nowhere/", "/api/v1/runs", "/s/nobodys/"])
def test_every_line_about_a_refused_request_has_its_id(database_url, tmp_path, path):
    """Django's own too, which it writes when the answer is ready."""
    log = tmp_path / "log"
    with servers.portal(database_url, log, TRACEML_LOG="json") as port:
        answer = ask(port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n").decode()
    (told,) = (line.removeprefix("X-Request-ID: ") for line in answer.splitlines() if line.startswith("X-Request-ID"))
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert {line["request_id"] for line in lines if line["name"] == "django.request"} == {told}


def test_a_traceback_is_masked_too():
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), None)
    try:
        raise ValueError(f"postgres://traceml:{SECRET}@host/name and /join/{SECRET}/")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    logs.with_request_id(record)
    assert SECRET not in logs.LineFormatter(logs.LINE).format(record)


def test_what_is_no_secret_stays():
    line = "Not Found: /runs/0f4e/ /settings/teams/x/ 12 s/epoch https://lab.example/a@b"
    assert logs.masked(line) == line
