"""CodeCarbon's `emissions.csv` of all releases, and its task files.

Columns are read by name: releases reorder them and leave empty ones out. A row is cumulative, so of those with one
run id the longest counts. 3.2.9 and 3.3.0 shift the values of appended rows to the left (mlco2/codecarbon#1304): such a
row has fewer cells than the header. It is mended if it is certainly of these releases, and else refused.
"""

import hashlib
import math
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from runs.importers import cells
from runs.importers.cells import MAX_KG, MAX_KWH
from runs.importers.found import (
    CPU,
    GPU,
    RAM,
    FoundDevice,
    FoundRun,
    FoundStage,
    Reading,
    Refused,
    RowRefused,
)
from runs.importers.rule import Rule
from runs.importers.source import Row, Source, Table
from traceml_agent import estimation

NEEDED = ("timestamp", "project_name", "duration", "emissions", "energy_consumed")
KNOWN = ("cpu_energy", "gpu_energy", "ram_energy", "codecarbon_version", "task_name")
#: What an unconfigured client writes, so that neither says anything about the model.
DEFAULT_EXPERIMENT, DEFAULT_PROJECT = "5b0fa12a-3dd7-45bb-9766-cc326314d9f1", "codecarbon"
_COUNTED = re.compile(r"(\d+) x (.+?)(?=\d+ x |\Z)")
#: Releases that shift the cells of appended rows, columns before the first that may be empty, and the first column of
#: the end that is never empty.
SHIFTING = ("3.2.9", "3.3.0")
BEGIN: tuple[str, ...] = (
    "timestamp",
    "project_name",
    "run_id",
    "experiment_id",
    "duration",
    "emissions",
    "emissions_rate",
)
BEGIN += ("cpu_power", "gpu_power", "ram_power", "cpu_energy", "gpu_energy", "ram_energy", "energy_consumed")
LAST_PART = "tracking_mode"
PARTS = ((CPU, "cpu"), (GPU, "gpu"), (RAM, "ram"))


def is_codecarbon(header: list[str]) -> bool:
    return set(NEEDED) <= set(header)


def read(source: Source, rule: Rule) -> Reading:
    table = Table(source, ",;\t", NEEDED, KNOWN)
    return _tasks(table, rule.zone) if "task_name" in table.header else _runs(table, rule.zone)


def _rows(table: Table) -> Iterator[Row | Refused]:
    for line, values in table.rows():
        if len(values) == len(table.header):
            yield Row(line, dict(zip(table.header, values, strict=True)))
        elif mended := _mended(table.header, values):
            yield Row(line, mended)
        else:
            yield Refused(line, f"it has {len(values)} cells, but the header has {len(table.header)}: it is shifted")


def _mended(header: list[str], values: list[str]) -> dict[str, str] | None:
    """The cells of a row that lost its empty columns, by what is certain: where it begins and ends, and its version."""
    at = next((place for place, text in enumerate(values) if text in SHIFTING and place >= len(BEGIN) + 2), None)
    lasts = header[header.index(LAST_PART) :] if LAST_PART in header else []
    places = [header.index(name) if name in header else len(header) for name in NEEDED]
    if at is None or not lasts or len(values) > len(header) or max(places) >= len(BEGIN) or at + 2 >= len(values):
        return None
    found = dict(zip(header[: len(BEGIN)], values, strict=False))
    found |= dict(zip(lasts, values[-len(lasts) :], strict=True))
    about = ("os", "python_version", "codecarbon_version", "cpu_count", "cpu_model", "gpu_count", "gpu_model")
    found |= dict(zip(about, values[at - 2 :], strict=False))
    if not _COUNTED.match(found.get("gpu_model", "")):
        found |= {"gpu_count": "0", "gpu_model": ""}
    return found if found.get("on_cloud") in ("Y", "N") else None


def _runs(table: Table, zone: tzinfo) -> Reading:
    """Read the file twice: first to find the longest row of each run, so that memory holds no rows."""
    longest: dict[str, tuple[float, int]] = {}
    for row in _rows(table):
        if isinstance(row, Row):
            key, duration_s = _key(row), _sortable(row.get("duration"))
            if duration_s >= longest.get(key, (-1.0, 0))[0]:
                longest[key] = (duration_s, row.line)
    for row in _rows(table):
        if isinstance(row, Refused):
            yield row
        elif longest[_key(row)][1] == row.line:
            try:
                yield _run(row, zone)
            except RowRefused as error:
                yield Refused(row.line, str(error))


def _sortable(text: str | None) -> float:
    try:
        found = float(text or 0.0)
    except ValueError:
        return 0.0
    return found if math.isfinite(found) else 0.0


def _key(row: Row) -> str:
    """The run's id, which 1.x called its experiment's; where the client wrote none (3.2.9 to 3.3.2 with API output),
    what distinguishes the row."""
    told = row.get("experiment_id") if row.get("run_id") is None else row.get("run_id")
    try:
        return str(uuid.UUID(told or ""))
    except ValueError:
        cells_told = (row.get(name) or "" for name in ("timestamp", "project_name", "duration", "energy_consumed"))
        return hashlib.sha256("\0".join(cells_told).encode()).hexdigest()


def _run(row: Row, zone: tzinfo) -> FoundRun:
    duration_s = cells.needed(row.get("duration"), "duration")
    energy_kwh = cells.needed(row.get("energy_consumed"), "energy_consumed", MAX_KWH)
    cells.check_energy(energy_kwh, duration_s)
    return FoundRun(
        key=_key(row),
        line=row.line,
        named=_model(row),
        started_at=_began(row, zone, duration_s),
        duration_s=duration_s,
        devices=_devices(row, energy_kwh, duration_s),
        **_about(row),
    )


def _began(row: Row, zone: tzinfo, duration_s: float) -> datetime:
    """The timestamp is of the writing, at the end of the run."""
    ended_at = cells.moment(row.get("timestamp"), "timestamp", zone)
    return cells.plausible(ended_at - timedelta(seconds=duration_s), "the start of the run")


def _model(row: Row) -> str:
    experiment = cells.words(row.get("experiment_id"))
    try:
        uuid.UUID(experiment)
    except ValueError:
        if experiment:
            return experiment
    return cells.words(row.get("project_name")) or DEFAULT_PROJECT


def _about(row: Row) -> dict:
    pue = cells.number(row.get("pue"), "pue", 100.0)
    environment = {"os": "os", "python": "python_version", "tracking_mode": "tracking_mode"}
    return {
        "name": cells.words(row.get("project_name")),
        "version": cells.words(row.get("codecarbon_version"), 64),
        "environment": {name: text for name, column in environment.items() if (text := cells.words(row.get(column)))},
        "reported_kwh": cells.number(row.get("energy_consumed"), "energy_consumed", MAX_KWH),
        "reported_kg": cells.number(row.get("emissions"), "emissions", MAX_KG),
        "pue_included": pue is not None and pue != 1.0,
    }


def _devices(row: Row, energy_kwh: float, duration_s: float) -> list[FoundDevice]:
    """The energy of processors, GPUs and memory; files without these columns have one of all together."""
    parts = [(kind, cells.number(row.get(f"{name}_energy"), f"{name}_energy", MAX_KWH)) for kind, name in PARTS]
    known_kwh = sum(part or 0.0 for _, part in parts)
    if abs(known_kwh - energy_kwh) > max(1e-3 * energy_kwh, 1e-9):
        if known_kwh:
            raise RowRefused(f"energy_consumed is {energy_kwh:g}, but its parts add up to {known_kwh:g}")
        return [_device(row, CPU, energy_kwh, duration_s)]
    found = [each for kind, kwh in parts if kwh for each in _of_kind(row, kind, kwh, duration_s)]
    return found or [_device(row, CPU, energy_kwh, duration_s)]


def _of_kind(row: Row, kind: str, energy_kwh: float, duration_s: float) -> list[FoundDevice]:
    if kind != GPU:
        return [_device(row, kind, energy_kwh, duration_s)]
    names = gpu_names(row.get("gpu_model") or "") or ["GPU"]
    busy_s = _busy_s(row, "gpu", duration_s)
    return [
        FoundDevice(f"gpu-{n}", GPU, name, busy_s, energy_kwh * estimation.J_PER_KWH / len(names), method="CodeCarbon")
        for n, name in enumerate(names)
    ]


def gpu_names(text: str) -> list[str]:
    """`2 x NVIDIA A100` as two names; different models follow each other without a separator."""
    found = [(int(count), cells.words(name)) for count, name in _COUNTED.findall(text[:1000])]
    return [name for count, name in found for _ in range(min(count, 64))][:64]


def _device(row: Row, kind: str, energy_kwh: float, duration_s: float) -> FoundDevice:
    energy_j = energy_kwh * estimation.J_PER_KWH
    if kind == RAM:
        memory_gb = cells.number(row.get("ram_total_size"), "ram_total_size", 1e7)
        return FoundDevice("ram", RAM, "Memory", None, energy_j, memory_gb=memory_gb, method="CodeCarbon")
    threads = cells.number(row.get("cpu_count"), "cpu_count", 1e6) or None
    name = cells.words(row.get("cpu_model")) or "Processor"
    busy_s = _busy_s(row, "cpu", duration_s)
    return FoundDevice("cpu", CPU, name, busy_s, energy_j, threads=threads, method="CodeCarbon")


def _busy_s(row: Row, name: str, duration_s: float) -> float | None:
    percent = cells.number(row.get(f"{name}_utilization_percent"), f"{name}_utilization_percent", 100.0)
    return None if percent is None else duration_s * percent / 100.0


def _tasks(table: Table, zone: tzinfo) -> Reading:
    """A task file has a row for each task with its own energy; they are the stages of one run for each run id."""
    tasks: dict[str, list[Row]] = {}
    for row in _rows(table):
        if isinstance(row, Refused):
            yield row
        else:
            tasks.setdefault(_key(row), []).append(row)
    for key, rows in tasks.items():
        read_tasks = [_task(row, zone) for row in rows]
        yield from (task for task in read_tasks if isinstance(task, Refused))
        if found := [task for task in read_tasks if isinstance(task, FoundRun)]:
            yield _of_tasks(key, rows[0], found)


def _task(row: Row, zone: tzinfo) -> FoundRun | Refused:
    try:
        found = _run(row, zone)
        found.name = cells.words(row.get("task_name")) or "task"
        return found
    except RowRefused as error:
        return Refused(row.line, str(error))


def _of_tasks(key: str, row: Row, tasks: list[FoundRun]) -> FoundRun:
    """One run of its tasks. It has the key of the run's own row, so that both files together count once."""
    tasks.sort(key=lambda task: task.started_at)
    first = tasks[0]
    first.stages = [
        FoundStage(task.name, start_s, start_s + task.duration_s)
        for task in tasks
        for start_s in [(task.started_at - first.started_at).total_seconds()]
    ]
    devices: dict[str, FoundDevice] = {}
    for device in (each for task in tasks for each in task.devices):
        known = devices.setdefault(device.key, device)
        known.busy_s = None  # task files say 0 for every utilisation
        if known is not device:
            known.energy_j = (known.energy_j or 0.0) + (device.energy_j or 0.0)
    first.key, first.name = key, cells.words(row.get("project_name"))
    first.devices = list(devices.values())
    first.reported_kwh = sum(task.reported_kwh or 0.0 for task in tasks)
    first.reported_kg = sum(task.reported_kg or 0.0 for task in tasks)
    first.duration_s = max(stage.end_s for stage in first.stages)
    return first
