"""Promise PS35: after any refused body a worker's memory returns to within 32 MiB of what it was."""

import gzip
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from tests.backup import places
from tests.serving import servers
from tests.serving.servers import resident_mib

MIB = 1024 * 1024
BOUND_MIB = 32
#: Of a worker: each keeps memory of its own where it is let.
THREADS = 8


def zipped(text: bytes) -> dict:
    """Beside it lies what doesn't compress, so that it isn't refused for its ratio alone."""
    noise = b',"noise":"' + os.urandom(90_000).hex().encode() + b'"}'
    return {"data": gzip.compress(text[:-1] + noise, 1), "headers": {"Content-Encoding": "gzip"}}


UPLOADS: dict[str, Callable[[], dict]] = {
    "a bomb": lambda: {"data": gzip.compress(b" " * 90 * MIB, 1), "headers": {"Content-Encoding": "gzip"}},
    "a million empty lists": lambda: zipped(b'{"samples":[' + b"[]," * 1_000_000 + b"[]]}"),
    "a million empty objects": lambda: zipped(b'{"samples":[' + b"{}," * 1_000_000 + b"{}]}"),
    "objects of one key": lambda: zipped(b'{"samples":[' + b'{"a":0},' * 900_000 + b"{}]}"),
    "just below the most values": lambda: zipped(b'{"samples":[' + b'{"a":[]},' * 70_000 + b"{}]}"),
    "numbers": lambda: zipped(b'{"samples":[' + b"1.5," * 1_900_000 + b"1]}"),
    "nested lists": lambda: zipped(b'{"samples":' + b"[" * 3_000_000 + b"]" * 3_000_000 + b"}"),
    "a text of wide signs": lambda: zipped(b'{"samples":"' + b"x" * 8_000_000 + "😀".encode() + b'"}'),
    "escapes": lambda: zipped(b'{"samples":"' + b"\\u00e9" * 1_200_000 + b'"}'),
    "samples that are none": lambda: zipped(json.dumps({"samples": [{"device": "x"}] * 10_000}).encode()),
    "rows that are none": lambda: zipped(json.dumps({"stages": [{"a": 1}] * 2_000, "calls": [{}] * 2_000}).encode()),
    "no gzip": lambda: {"data": b"x" * MIB, "headers": {"Content-Encoding": "gzip"}},
    "a megabyte of brackets": lambda: {"data": b"[" * MIB, "headers": {}},
}
PART = b'--b\r\nContent-Disposition: form-data; name="a"'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
FORMS: dict[str, Callable[[], dict]] = {
    "a million fields": lambda: {"data": b"a=1&" * 500_000, "headers": {}},
    "one field": lambda: {"data": b"a=" + b"x" * (3 * MIB), "headers": {}},
    "many parts": lambda: {"data": (PART + b"\r\n\r\n1\r\n") * 40_000 + b"--b--\r\n", "headers": MULTIPART},
    "a file": lambda: {
        "data": PART + b'; filename="f"\r\n\r\n' + b"x" * 3 * MIB + b"\r\n--b--\r\n",
        "headers": MULTIPART,
    },
}


@pytest.fixture(scope="module")
def worker(database_url, tmp_path_factory):
    """The port and process of a portal with one worker."""
    log = tmp_path_factory.mktemp("memory") / "log"
    with servers.portal(database_url, log, WEB_CONCURRENCY="1") as port:
        for _ in range(30):
            send(port, "POST", "/accounts/login/", b"a=1", {})
            send(port, "PUT", UPLOAD, b"{}", AS_AGENT)
        yield port, servers.processes(port)[-1]


UPLOAD = "/api/v1/runs/00000000-0000-4000-8000-000000000001/batches/b-1"
AS_AGENT: dict[str, str] = {}


@pytest.fixture(scope="module", autouse=True)
def token(database_url):
    """A body is looked at for whoever may send one."""
    text = places.done(database_url, "issue_token", "--team", "Memory", "--project", "Memory").strip().splitlines()[-1]
    AS_AGENT["Authorization"] = f"Bearer {text}"


def send(port: int, method: str, path: str, data: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def refused(port: int, body: dict, times: int) -> set[int]:
    """The statuses of an upload that is sent so often."""
    headers = AS_AGENT | {"Content-Type": "application/json"} | body["headers"]
    return {send(port, "PUT", UPLOAD, body["data"], headers) for _ in range(times)}


@pytest.mark.parametrize("body", UPLOADS.values(), ids=UPLOADS)
def test_after_refused_uploads_memory_is_what_it_was(worker, body):
    port, pid = worker
    before = resident_mib(pid)
    assert refused(port, body(), THREADS) <= {400, 413, 422}
    assert resident_mib(pid) - before < BOUND_MIB


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_after_refused_forms_too(worker, body):
    port, pid = worker
    before, sent = resident_mib(pid), body()
    statuses = {send(port, "POST", "/accounts/login/", sent["data"], sent["headers"]) for _ in range(THREADS)}
    assert statuses <= {400, 403, 413}
    assert resident_mib(pid) - before < BOUND_MIB


def test_all_of_them_together_leave_it_so(worker):
    """One after the other the bounds would add up."""
    port, pid = worker
    before = resident_mib(pid)
    for body in UPLOADS.values():
        refused(port, body(), 2)
    assert resident_mib(pid) - before < BOUND_MIB
