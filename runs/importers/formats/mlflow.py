"""MLflow's tracking database (`mlflow.db`, SQLite): runs with their parameters, metrics and logged system metrics.

The file is a stranger's: it is opened read-only, its tables must be plain tables, and each query has a bound.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from runs.importers import cells
from runs.importers.formats.telemetry import MOST_SAMPLES, Series, Telemetry, percent
from runs.importers.found import FileRefused, FoundMetric, FoundRun, LeftAside, Reading, Refused, RowRefused
from runs.importers.rule import Rule, pairs
from runs.importers.source import Source
from runs.models import Run
from traceml_agent.limits import MAX_KEY, MAX_KEYS, MAX_METRIC_NAMES, MAX_TAGS, MAX_VALUE

MAGIC = b"SQLite format 3\0"
TABLES = ("experiments", "runs", "metrics", "params", "tags")
STATUS = {"FINISHED": Run.Status.COMPLETED, "FAILED": Run.Status.FAILED, "KILLED": Run.Status.CANCELLED}
#: Instructions of SQLite's machine that one query may take, a few seconds; asked after every so many.
MOST_STEPS, STEPS = 2_000_000_000, 1_000_000
MOST_VALUES = 500
_GPU = re.compile(r"system/gpu_(\d{1,3})_(power_usage_watts|utilization_percentage)\Z")
RUNS = """SELECT r.run_uuid, r.name, r.user_id, r.status, r.start_time, r.end_time, e.name
FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id
WHERE r.lifecycle_stage = 'active' ORDER BY r.start_time"""
METRICS = """SELECT key, timestamp, value FROM metrics WHERE run_uuid = ? AND NOT is_nan
ORDER BY key, timestamp, step LIMIT ?"""


def is_mlflow(head: bytes) -> bool:
    return head.startswith(MAGIC)


def read(source: Source, rule: Rule) -> Reading:
    try:
        with closing(_opened(source)) as database:
            for number, row in enumerate(_query(database, RUNS), start=1):
                try:
                    yield _run(database, number, row, rule)
                except RowRefused as error:
                    yield Refused(number, f"of the runs, which is {cells.words(str(row[1]))}: {error}")
    except sqlite3.Error as error:
        raise FileRefused(f"The database can't be read: {cells.words(str(error))}.") from None


def _opened(source: Source) -> sqlite3.Connection:
    database = sqlite3.connect(f"{source.path.as_uri()}?mode=ro&immutable=1", uri=True)
    database.text_factory = lambda data: data.decode("utf-8", "replace")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)
    database.execute("PRAGMA trusted_schema = OFF")
    kinds = dict(database.execute("SELECT name, type || ' ' || substr(sql, 1, 14) FROM sqlite_master"))
    missing = [name for name in TABLES if not kinds.get(name, "").upper().startswith("TABLE CREATE TABLE")]
    if missing:
        database.close()
        raise FileRefused(f"This is not MLflow's database: it has no table {missing[0]}.")
    return database


def _query(database: sqlite3.Connection, sql: str, *values) -> Iterator[tuple]:
    steps = iter(range(MOST_STEPS // STEPS))
    database.set_progress_handler(lambda: next(steps, None) is None, STEPS)
    yield from database.execute(sql, values).fetchall() if values else database.execute(sql)


def _run(database: sqlite3.Connection, number: int, row: tuple, rule: Rule) -> FoundRun | LeftAside:
    run_id, name, user, status, started_ms, ended_ms, experiment = row
    if status not in STATUS or not isinstance(ended_ms, int):
        return LeftAside("the run has not ended")
    if not isinstance(started_ms, int):
        raise RowRefused("it has no start")
    duration_s = (ended_ms - started_ms) / 1000
    if duration_s <= 0:
        return LeftAside("the run lasted no time")
    started_at = cells.of_epoch(started_ms / 1000, "the start")
    cells.of_epoch(ended_ms / 1000, "the end")
    telemetry, metrics = _metrics(database, run_id, started_ms)
    tags = dict(_query(database, "SELECT key, value FROM tags WHERE run_uuid = ? LIMIT 1000", run_id))
    params = dict(_query(database, "SELECT key, value FROM params WHERE run_uuid = ? LIMIT ?", run_id, MAX_KEYS))
    gpu = pairs("gpus", rule.gpus).get("gpu", "")
    cpu = pairs("cpus", rule.cpus, alone=True).get("", "")
    return FoundRun(
        key=str(run_id),
        line=number,
        named=_model(cells.words(experiment), cells.words(name)),
        started_at=started_at,
        duration_s=duration_s,
        devices=telemetry.devices(duration_s, [gpu] if gpu else [], cpu, "MLflow system metrics"),
        status=STATUS[status],
        name=cells.words(name),
        user=cells.words(str(tags.get("mlflow.user") or user or "")),
        tags=[
            text
            for key, value in tags.items()
            if not str(key).startswith("mlflow.") and (text := cells.words(f"{key}: {value}"))
        ][:MAX_TAGS],
        params={cells.words(key, MAX_KEY): cells.words(value, MAX_VALUE) for key, value in params.items() if key},
        metrics=metrics,
    )


def _model(experiment: str, run: str) -> str:
    return experiment if experiment and experiment != "Default" else run or "MLflow"


def _metrics(database: sqlite3.Connection, run_id: str, started_ms: int) -> tuple[Telemetry, list[FoundMetric]]:
    telemetry = Telemetry()
    own: dict[str, Series] = {}
    for key, at_ms, value in _query(database, METRICS, run_id, 10 * MOST_SAMPLES):
        if not (isinstance(at_ms, int) and isinstance(value, (int, float))):
            raise RowRefused("it has a metric without a number or time")
        at_s, key = (at_ms - started_ms) / 1000, str(key)
        if not key.startswith("system/"):
            own.setdefault(cells.words(key), []).append((max(at_s, 0.0), float(value)))
        elif gpu := _GPU.match(key):
            series = telemetry.gpu_power_w if gpu[2] == "power_usage_watts" else telemetry.gpu_busy
            share = value if gpu[2] == "power_usage_watts" else value / 100.0
            series.setdefault(int(gpu[1]), []).append((at_s, share))
        elif key == "system/cpu_utilization_percentage":
            telemetry.cpu_busy += percent([(at_s, value)])
        elif key == "system/system_memory_usage_megabytes":
            telemetry.memory_gb.append((at_s, value / 1000.0))
    return telemetry, metrics_of(own)


def metrics_of(series: dict[str, Series]) -> list[FoundMetric]:
    """The metrics of a run, each thinned to a number of values that keeps the last."""
    named = sorted((name, values) for name, values in series.items() if name and values)
    return [FoundMetric(name, _thinned(values)) for name, values in named[:MAX_METRIC_NAMES]]


def _thinned(values: Series) -> Series:
    every = -(-len(values) // MOST_VALUES)
    return values[::-1][::every][::-1]
