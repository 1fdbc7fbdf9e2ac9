"""Uploads over HTTP on both databases: small batches beside a bare view, large ones beside MLflow's `log-batch`.

The servers run side by side, the load goes to one after the other, so that all of them see the same machine.
BENCH_SECONDS of the environment are those of a turn, BENCH_ROUNDS how many each has.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("SECRET_KEY", "bench-only-" + "0123456789abcdef" * 4)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import tests.settings  # noqa: F401 (places.KEY is the key that this leaves in the environment)
from tests.backup import places
from tests.benchmarks import stored
from tests.benchmarks.agents import Plan, Told, upload
from tests.benchmarks.cluster import PROGRAMS, cluster
from tests.benchmarks.timing import Row
from tests.serving import servers

ROOT = Path(__file__).parents[2]
SECONDS, ROUNDS = float(os.environ.get("BENCH_SECONDS", "4")), int(os.environ.get("BENCH_ROUNDS", "5"))
CLIENTS, LARGE_CLIENTS, LARGE_BATCHES = (4, 16), 4, 40
FOLLOW_S = 1.0  # how far totals may be behind
DEVICES, INSTANTS = 10, 100  # the largest batch of an agent
PYTHON = Path(os.environ.get("INTEGRATIONS_PYTHON", ROOT / ".venv-integrations" / "bin" / "python"))
BARE = [*servers.GUNICORN[:3], "-c", "python:tests.benchmarks.bare.gunicorn", "django.core.wsgi:get_wsgi_application()"]
#: Enough for the load, and counted like any.
LIMITS = "uploads=1000000"
COSTS = """
import json, statistics, sys, time, uuid
import django
django.setup()
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from runs.api.authentication import TokenAuthentication
from tests.benchmarks.agents import Plan, Run
token = sys.argv[1]
client, run = Client(headers={"Authorization": f"Bearer {token}"}), Run(Plan(0, token, devices=2), 0)
def put(request):
    path, body = request.data.split(b" ", 2)[1].decode(), request.data.partition(b"\\r\\n\\r\\n")[2]
    with CaptureQueriesContext(connection) as captured:
        answer = client.put(path, body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    asked = [query["sql"] for query in captured.captured_queries]
    return sum(not sql.startswith(("BEGIN", "COMMIT", "0 times")) for sql in asked)
put(Run(Plan(0, token), 1).header())
header, batches = put(run.header()), run.batches()
batch = max([put(next(batches)) for _ in range(5)][1:])
checks = []
for _ in range(1000):
    request = RequestFactory().put("/api/v1/runs/x", headers={"Authorization": f"Bearer {token}"})
    began = time.perf_counter()
    TokenAuthentication().authenticate(Request(request))
    checks.append(1000 * (time.perf_counter() - began))
print(json.dumps([header, batch, statistics.median(checks)]))
"""


class Place(NamedTuple):
    """A database with the portal and the bare view that write to it, and a token that both know."""

    name: str
    url: str
    port: int
    bare_port: int
    token: str


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="traceml-bench-") as folder, ExitStack() as held:
        mlflow_port = held.enter_context(mlflow(Path(folder)))
        urls = {"SQLite": (f"sqlite:///{folder}/portal.sqlite3", f"sqlite:///{folder}/bare.sqlite3")}
        if PROGRAMS:
            server = held.enter_context(cluster())
            urls["PostgreSQL"] = (server.database("portal"), server.database("bare"))
        else:
            print("Left out: uploads to PostgreSQL, which is not installed here.", file=sys.stderr)
        for name, (url, bare_url) in urls.items():
            with _place(name, url, bare_url, Path(folder)) as place:
                for clients in CLIENTS:
                    yield _small(place, clients)
                yield from _costs(place)
                yield from _large(place, mlflow_port)


@contextmanager
def _place(name: str, url: str, bare_url: str, folder: Path) -> Iterator[Place]:
    token = prepare(url)
    prepare_bare(bare_url, token)
    with portal(url, folder / f"{name}.log") as port, bare(bare_url, folder / f"{name}-bare.log") as bare_port:
        yield Place(name, url, port, bare_port, token)


def prepare(url: str) -> str:
    """A new portal's tables and catalogue; returns a token."""
    for command in ("migrate", "load_catalogue"):
        places.done(url, command)
    return places.done(url, "issue_token", "--team", "Bench", "--project", "Bench").split()[-1]


def portal(url: str, log: Path, **settings: str):
    """A portal as it is deployed, with two workers."""
    settings = {"DJANGO_SETTINGS_MODULE": "traceml_site.settings", "WEB_CONCURRENCY": "2"} | settings
    return servers.portal(url, log, TRACEML_LIMITS=LIMITS, **settings)


def bare(url: str, log: Path):
    settings = {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.bare.settings", "WEB_CONCURRENCY": "2"}
    return servers.portal(url, log, BARE, **settings)


def prepare_bare(url: str, token: str) -> None:
    """The bare view's tables, and the token."""
    code = "import django, sys; django.setup(); from django.core.management import call_command as call\n"
    code += "from tests.benchmarks.bare.models import Token, digest_of\n"
    code += "call('migrate', run_syncdb=True, verbosity=0)\n"
    code += "lookup_id, _, secret = sys.argv[1].removeprefix('tml_').partition('_')\n"
    code += "Token.objects.create(lookup_id=lookup_id, secret_hmac=digest_of(secret))"
    _python(url, code, token, DJANGO_SETTINGS_MODULE="tests.benchmarks.bare.settings")


def _python(url: str, code: str, *words: str, **settings: str) -> str:
    words = (sys.executable, "-c", code, *words)
    own = environment(url, **settings)
    return subprocess.run(words, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True, check=True).stdout


def environment(url: str, **settings: str) -> dict[str, str]:
    """Of another process of the portal."""
    own = {"DATABASE_URL": url, "SECRET_KEY": places.KEY, "TRACEML_LIMITS": LIMITS}
    return os.environ | own | {"DJANGO_SETTINGS_MODULE": "traceml_site.settings"} | settings


@contextmanager
def mlflow(folder: Path) -> Iterator[int]:
    """The port of MLflow's server with two workers on SQLite; 0 where it is not installed."""
    program, port = PYTHON.with_name("mlflow"), servers.free_port()
    if not program.exists():
        print("MLflow is left out: make setup-integrations installs it.", file=sys.stderr)
        yield 0
        return
    words = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.sqlite3", "--artifacts-destination", f"{folder}/files"]
    words += ["--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "server", *words], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            servers.wait_for(port, server, folder / "mlflow.log", 180.0)  # it loads for long
            yield port
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # with its consumers of jobs; its data goes anyway
            server.wait()


def _small(place: Place, clients: int) -> Row:
    """A batch with one sample of one card."""
    ours, bare, behind_s, ours_ms, bare_ms = [], [], [], [], []
    for port in (place.bare_port, place.port):  # each has answered before it counts
        upload(Plan(port, place.token, clients, seconds=1.0))
    for _ in range(ROUNDS):
        for port, tolds, costs_ms in ((place.bare_port, bare, bare_ms), (place.port, ours, ours_ms)):
            before_s = _processor_s(port)
            tolds.append(upload(Plan(port, place.token, clients, seconds=SECONDS)))
            behind_s.append(stored.behind_s(place.url))
            costs_ms.append(1000 * (_processor_s(port) - before_s) / len(tolds[-1].acknowledged))
    rate, floor = (statistics.median(told.rate for told in tolds) for tolds in (ours, bare))
    times_ms = sorted(ms for told in ours for ms in told.batch_ms)
    p50, p99 = (times_ms[int(share * len(times_ms))] for share in (0.5, 0.99))
    faults = _errors(ours) + stored.faults(place.url, *ours) + stored.different_totals(place.url)
    cost_ms, floor_ms = statistics.median(ours_ms), statistics.median(bare_ms)
    others = f"bare view {floor:.0f}/s, so {rate / floor:.2f} of it; totals {max(behind_s):.1f} s behind; "
    others += f"processor time of a request, without the database's: {cost_ms:.1f} ms, bare {floor_ms:.1f} ms"
    text = f"{rate:.0f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, {said(faults)}"
    holds = rate >= max(300, 0.5 * floor) and p99 <= 150 and max(behind_s) <= FOLLOW_S and not faults
    what = f"batches of one sample, {clients} clients, {place.name}"
    bound = "≥ 300/s, ≥ 0.5 of bare, p99 ≤ 150 ms, 0 errors, totals ≤ 1 s behind"
    return Row(what, text, others, bound, holds)


def _processor_s(port: int) -> float:
    """Processor time of a server's processes so far, those that have ended included; no other load changes it much."""
    found = 0.0
    for pid in servers.processes(port):
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        found += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return found


def _errors(tolds: list[Told]) -> list[str]:
    """What clients were not told at once, in words."""
    refused = [answer for told in tolds for answer in told.refused]
    counts = {"refused": len(refused), "repeated": sum(told.repeated for told in tolds)}
    counts["undelivered"] = sum(len(told.undelivered) for told in tolds)
    return [f"{count} {what}" for what, count in counts.items() if count] + refused[:1]


def said(faults: list[str]) -> str:
    return "; ".join(faults) if faults else "0 errors, all stored once, totals equal a rebuild"


def _costs(place: Place) -> list[Row]:
    header, batch, check_ms = json.loads(_python(place.url, COSTS, place.token).splitlines()[-1])
    return [
        Row(f"queries of a batch of two devices, {place.name}", str(batch), "", "≤ 6", batch <= 6),
        Row(f"queries of a header, {place.name}", str(header), "", "≤ 10", header <= 10),
        Row(f"a token checked, {place.name}", f"{check_ms:.2f} ms", "", "≤ 0.2 ms", check_ms <= 0.2),
    ]


def _large(place: Place, mlflow_port: int) -> list[Row]:
    """The largest batch of an agent: 1,000 samples; half as many of them are the largest that MLflow takes."""
    size = {"devices": DEVICES, "instants": INSTANTS, "batches": LARGE_BATCHES, "seconds": 120.0}
    ours, theirs, behind_s = [], [], []
    before = stored.size_bytes(place.url)
    for _ in range(ROUNDS):
        if mlflow_port:
            few = size | {"batches": 6, "instants": INSTANTS // 2}
            theirs.append(upload(Plan(mlflow_port, mlflow_runs=_mlflow_runs(mlflow_port), **few)))
        ours.append(upload(Plan(place.port, place.token, LARGE_CLIENTS, **size)))
        behind_s.append(stored.behind_s(place.url))
    samples = DEVICES * INSTANTS * sum(len(told.batch_ms) for told in ours)
    each = (stored.size_bytes(place.url) - before) / samples
    rate = DEVICES * INSTANTS * statistics.median(told.rate for told in ours)
    faults = _errors(ours) + stored.faults(place.url, *ours) + stored.different_totals(place.url)
    text = f"{rate:,.0f} samples/s, {said(faults)}"
    others, bound, holds = f"totals {max(behind_s):.1f} s behind", "≥ 150,000/s", rate >= 150_000 and not faults
    if theirs:
        logged = DEVICES * INSTANTS // 2 * statistics.median(told.rate for told in theirs)
        others = f"MLflow {logged:,.0f} samples/s of two values on SQLite, so {rate / logged:.0f}×; {others}"
        bound, holds = f"{bound}, ≥ 20× MLflow", holds and rate >= 20 * logged
    return [
        Row(f"batches of 1,000 samples, {LARGE_CLIENTS} clients, {place.name}", text, others, bound, holds),
        Row(f"a stored sample of a device, {place.name}", f"{each:.1f} bytes", "", "≤ 12 bytes", each <= 12),
    ]


def _mlflow_runs(port: int) -> list[str]:
    url, body = f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/create", json.dumps({"experiment_id": "0"}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    found = []
    for _ in range(LARGE_CLIENTS):
        with urllib.request.urlopen(request, timeout=60) as answer:
            found.append(json.load(answer)["run"]["info"]["run_id"])
    return found
