"""Pages at 1,000, 100,000 and 1,000,000 runs, on SQLite and on PostgreSQL, also while runs are uploaded.

Over HTTP from gunicorn as deployed, each page on a connection of its own.

The data is kept (TRACEML_BENCH_DATA; databases whose names begin like that of TRACEML_BENCH_POSTGRES): to make it takes
minutes for each million runs. Without TRACEML_BENCH_POSTGRES, PostgreSQL is left out.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("SECRET_KEY", "bench-only-" + "0123456789abcdef" * 4)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import tests.settings  # noqa: F401 (places.KEY is the key that this leaves in the environment)
from tests.backup.places import KEY
from tests.benchmarks import agents
from tests.benchmarks.pages import FOLDER, PAGES
from tests.benchmarks.timing import Row
from tests.serving import servers

SIZES = (1_000, 100_000, 1_000_000)
#: Runs that Python makes; larger data has copies of them.
MADE, MODELS, PROJECTS = 10_000, 200, 5
TURNS = 7
MOST_MS, MOST_MS_OF_SEARCHES, MOST_RATIO = 60.0, 150.0, 1.5
SEARCHES = ("search", *(f"run list by {group}" for group in ("model", "tag", "hardware", "parameter")))
UPLOADS_A_SECOND = 16
LIMITS = "pages=1000000,searches=1000000,uploads=1000000"


def rows() -> list[Row]:
    """A line a page and database: medians at each size, and at the largest one beside uploads."""
    databases = {"SQLite": f"sqlite:///{FOLDER}/pages-{{size}}.sqlite3"}
    if url := os.environ.get("TRACEML_BENCH_POSTGRES"):
        databases["PostgreSQL"] = f"{url}_{{size}}"
    else:
        print("PostgreSQL is left out: TRACEML_BENCH_POSTGRES names no database.", file=sys.stderr)
    return [row for name, url in databases.items() for row in _rows(name, url)]


def _rows(database: str, url: str) -> list[Row]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    medians = {size: _measured(url.format(size=size), size) for size in SIZES}
    beside = _measured(url.format(size=SIZES[-1]), SIZES[-1], beside_uploads=True)
    return [_row(f"{page}, {database}", [medians[size][page] for size in SIZES], beside[page]) for page in PAGES]


def _row(what: str, medians: list[float], beside_ms: float) -> Row:
    most_ms, most_ratio = (MOST_MS_OF_SEARCHES, None) if what.startswith(SEARCHES) else (MOST_MS, MOST_RATIO)
    ratio = medians[-1] / medians[0]
    ours = f"{' · '.join(f'{median:.0f}' for median in medians)} ms, {ratio:.1f} ×; beside uploads {beside_ms:.0f} ms"
    bound = f"≤ {most_ms:.0f} ms" + (f", ≤ {most_ratio} ×" if most_ratio else "")
    holds = max(medians[-1], beside_ms) <= most_ms and (most_ratio is None or ratio <= most_ratio)
    return Row(what, ours, "", bound, holds)


def _measured(url: str, size: int, beside_uploads: bool = False) -> dict[str, float]:
    """Return the median milliseconds of each page."""
    own = {**os.environ, "SECRET_KEY": KEY, "TRACEML_DATA": str(FOLDER), "DATABASE_URL": url}
    words = [sys.executable, "-m", "tests.benchmarks.million", str(size)]
    made = subprocess.run(words, env=own, stdout=subprocess.PIPE, check=True, text=True)
    visit = json.loads(made.stdout.splitlines()[-1])
    with (
        tempfile.TemporaryDirectory(prefix="traceml-bench-") as folder,
        servers.portal(url, Path(folder) / "web.log", TRACEML_LIMITS=LIMITS) as port,
    ):
        plan = agents.Plan(port, visit["token"], UPLOADS_A_SECOND, devices=2, seconds=3600.0, every_s=1.0)
        uploads = agents.start(plan) if beside_uploads else None
        try:
            return {page: _median_ms(port, path.format(**visit["places"]), visit) for page, path in PAGES.items()}
        finally:
            if uploads:
                uploads.kill()


def _median_ms(port: int, path: str, visit: dict) -> float:
    """Return the median of some requests, after a first one that fills caches; one connection means one process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    for _ in range(1 + TURNS):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": visit["cookie"], "Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        answer.read()
        times.append(1000 * (time.perf_counter() - began))
        assert answer.status == 200, (path, answer.status)
    connection.close()
    return statistics.median(times[1:])


def make(size: int) -> None:
    """Migrate the database, and fill it if it is empty."""
    from django.core.management import call_command
    from django.db import connection

    from runs.models import Run
    from runs.sql import run_sums
    from tests.benchmarks import pages

    if connection.vendor == "postgresql":
        _create_database(connection)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
    call_command("migrate", verbosity=0)
    if Run.objects.exists():
        return
    print(f"Making {size:,} runs …", file=sys.stderr, flush=True)
    call_command("load_catalogue", verbosity=0)
    copies = max(1, size // MADE)
    pages.fill(size // copies, MODELS, PROJECTS)
    if copies > 1:
        grow(copies)
        pages._count_runs()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Ten million sums of one run each, which the worker would have merged as they came.
            cursor.execute("TRUNCATE runs_runsums")
            run_sums.fill(cursor.execute, connection.vendor)
            cursor.execute("VACUUM ANALYZE")


def _create_database(connection) -> None:
    """Create it if it is not there, from the server's own database."""
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [connection.settings_dict["NAME"]])
        if not cursor.fetchone():
            cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])}")


def visit() -> dict:
    """Return what a reader and an agent need: a session's cookie, a token, and the ids of some runs."""
    from django.conf import settings
    from django.test import Client

    from runs.models import ApiToken, Project, Run, User

    reader = Client()
    reader.force_login(User.objects.get(email="bench@example.org"))
    _, token = ApiToken.issue(Project.objects.order_by("pk")[0], "bench", ["ingest"])
    some = [str(run_id) for run_id in Run.objects.order_by("pk").values_list("run_id", flat=True)[:4]]
    places = {"run": some[0], "id": some[0][:8], "compared": "&".join(f"run={run_id}" for run_id in some)}
    name = settings.SESSION_COOKIE_NAME
    return {"cookie": f"{name}={reader.cookies[name].value}", "token": token, "places": places}


def grow(copies: int) -> None:
    """Let a run of a small portal stand for `copies` of them, which began one after the other.

    In the database: a million runs with all their rows take minutes, while rows from Python would take an hour.
    """
    from runs.models import Call, Device, Metric, Run, RunUsage, Writer

    for model in (Run, Writer, Device, Metric, Call, RunUsage):
        _copy(model, copies)


def _copy(model, copies: int) -> None:
    from django.core.management.color import no_style
    from django.db import connection

    quote, is_sqlite = connection.ops.quote_name, connection.vendor == "sqlite"
    table, step_s = quote(model._meta.db_table), 365 * 86400 / (10_000 * copies)
    columns = {field.column: _copied(field, copies, step_s, is_sqlite) for field in model._meta.concrete_fields}
    numbers = f"WITH RECURSIVE copies(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM copies WHERE k < {copies - 1})"
    with connection.cursor() as cursor, _unchecked(cursor, model._meta.db_table, is_sqlite):
        cursor.execute(f"CREATE TEMPORARY TABLE base AS SELECT * FROM {table}")
        cursor.execute(f"DELETE FROM {table}")
        cursor.execute(
            f"{numbers} INSERT INTO {table} ({', '.join(map(quote, columns))}) "
            f"SELECT {', '.join(columns.values())} FROM base CROSS JOIN copies ORDER BY base.id, copies.k"
        )
        cursor.execute("DROP TABLE base")
        for sql in connection.ops.sequence_reset_sql(no_style(), [model]):
            cursor.execute(sql)


@contextmanager
def _unchecked(cursor, table: str, is_sqlite: bool):
    """Take the foreign keys from and to a table away meanwhile: one check a row takes longer than the rows."""
    if is_sqlite:
        cursor.execute("PRAGMA foreign_keys = OFF")
        yield
        cursor.execute("PRAGMA foreign_keys = ON")
        return
    cursor.execute(
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'f' AND %s::regclass IN (conrelid, confrelid)",
        [table],
    )
    keys = cursor.fetchall()
    for of, name, _ in keys:
        cursor.execute(f'ALTER TABLE {of} DROP CONSTRAINT "{name}"')
    yield
    for of, name, definition in keys:
        cursor.execute(f'ALTER TABLE {of} ADD CONSTRAINT "{name}" {definition} NOT VALID')


def _copied(field, copies: int, step_s: float, is_sqlite: bool) -> str:
    """Return the SQL of a column in copy `k`."""
    name, kind = f'base."{field.column}"', field.get_internal_type()
    if field.primary_key or field.name in ("run", "writer"):
        return f"{name} * {copies} + k"
    if field.name == "run_id":
        return "lower(hex(randomblob(16)))" if is_sqlite else "gen_random_uuid()"
    if field.name == "name" and field.model.__name__ == "Run":
        return f"{name} || printf('%02d', k)" if is_sqlite else f"{name} || lpad(k::text, 2, '0')"
    if kind == "DateTimeField":
        later = f"strftime('%Y-%m-%d %H:%M:%f', {name}, ({step_s} * k) || ' seconds') || '000'"
        return later if is_sqlite else f"{name} + {step_s} * k * interval '1 second'"
    return f"{name} * (1 + k / 1000.0)" if field.name in ("energy_kwh", "emissions_kg", "duration_s") else name


if __name__ == "__main__":
    import django

    django.setup()
    os.umask(0o077)  # the portal refuses a database that others may read
    make(int(sys.argv[1]))
    print(json.dumps(visit()))
