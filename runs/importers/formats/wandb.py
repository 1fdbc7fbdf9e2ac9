"""Weights & Biases: the `.wandb` file of a run's folder, several in a tar, or the CSV export of the runs table.

A `.wandb` file is LevelDB's log of protobuf records, complete also for runs that were never synchronised. Only the few
fields below are decoded, by their numbers in wandb_internal.proto, so that the portal needs no package for it.
"""

import json
import math
import re
import struct
import tarfile
from collections.abc import Iterator
from typing import Any

from runs.importers import cells
from runs.importers.formats.mlflow import metrics_of
from runs.importers.formats.telemetry import Telemetry
from runs.importers.found import FileRefused, FoundDevice, FoundRun, LeftAside, Reading, Refused, RowRefused
from runs.importers.rule import Rule, pairs
from runs.importers.source import Row, Source, Table
from runs.models import Run
from traceml_agent.limits import MAX_KEY, MAX_TAGS, MAX_VALUE

MAGIC, TAR = b":W&B", b"ustar"
HEAD_BYTES, BLOCK = 7, 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
#: Numbers of fields: of a record, a run, an item, an environment.
HISTORY, STATS, RUN, EXIT, HEADER, ENVIRONMENT = 2, 7, 17, 18, 21, 26
ITEM_KEY, ITEM_NESTED, ITEM_JSON = 1, 2, 16
MOST_RECORD_BYTES = 4 * 1024 * 1024
CSV_NEEDED, CSV_KNOWN = ("Name", "State", "Created", "Runtime"), ("User", "Tags", "Sweep", "ID", "GPU Type")
STATES = {"finished": Run.Status.COMPLETED, "failed": Run.Status.FAILED, "crashed": Run.Status.FAILED}
STATES |= {"killed": Run.Status.CANCELLED, "preempted": Run.Status.STOPPED}
CSV_ABOUT = {*CSV_NEEDED, "Notes", "User", "Tags", "Sweep", "ID", "GPU Type", "GPU Count", "Host", "Hostname", "OS"}
_GPU = re.compile(r"gpu\.(\d{1,3})\.(powerWatts|gpu)\Z")


def is_wandb(head: bytes) -> bool:
    return head.startswith(MAGIC) or head[257:262] == TAR


def is_table(header: list[str]) -> bool:
    return set(CSV_NEEDED) <= set(header)


def read(source: Source, rule: Rule) -> Reading:
    head = source.head()
    if head.startswith(MAGIC):
        yield _of_file(1, source.path.read_bytes(), rule)
    elif head[257:262] == TAR:
        yield from _of_tar(source, rule)
    else:
        yield from _of_table(Table(source, ",;\t", CSV_NEEDED, CSV_KNOWN), rule)


def _of_tar(source: Source, rule: Rule) -> Reading:
    """The `.wandb` files of a tar; a number in a refusal is that of the file in it."""
    try:
        with tarfile.open(source.path, "r:") as archive:
            for number, member in enumerate(archive, start=1):
                if member.isfile() and member.name.endswith(".wandb") and (file := archive.extractfile(member)):
                    yield _of_file(number, file.read(), rule)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise FileRefused(f"The tar can't be read: {cells.words(str(error))}.") from None


def _of_file(number: int, data: bytes, rule: Rule) -> FoundRun | Refused | LeftAside:
    try:
        return _Reading(rule).run(number, data)
    except (RowRefused, ValueError, IndexError, struct.error) as error:
        reason = str(error) if isinstance(error, RowRefused) else "it is damaged"
        return Refused(number, f"the .wandb file can't be read: {reason}")


def records(data: bytes) -> Iterator[bytes]:
    """The records of a LevelDB log; one that is cut at the end of the file, as of a killed process, is left out."""
    at, begun = HEAD_BYTES, b""
    while at + HEAD_BYTES <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEAD_BYTES:
            at += left
            continue
        _checksum, length, kind = struct.unpack_from("<IHB", data, at)
        if kind not in (FULL, FIRST, MIDDLE, LAST) or at + HEAD_BYTES + length > len(data):
            return
        begun = (begun if kind in (MIDDLE, LAST) else b"") + data[at + HEAD_BYTES : at + HEAD_BYTES + length]
        if len(begun) > MOST_RECORD_BYTES:
            raise RowRefused("it has a record of more than 4 MB")
        at += HEAD_BYTES + length
        if kind in (FULL, LAST):
            yield begun


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: numbers as int, everything else as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        value: Any
        if kind == 0:
            value, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = message[at : at + size], at + size
        elif kind == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        else:
            raise ValueError(kind)
        yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("varint")


def _texts(message: bytes) -> dict[int, list]:
    found: dict[int, list] = {}
    for number, value in fields(message):
        found.setdefault(number, []).append(value)
    return found


def _seconds(message: bytes) -> float:
    """A google.protobuf.Timestamp in seconds since 1970."""
    parts = dict(fields(message))
    return parts.get(1, 0) + parts.get(2, 0) / 1e9


def _items(message: bytes, number: int) -> Iterator[tuple[str, Any]]:
    """Keys (nested ones joined by a dot) with their values, which are JSON."""
    for place, item in fields(message):
        if place == number:
            parts = _texts(item)
            keys = parts.get(ITEM_NESTED) or parts.get(ITEM_KEY, [b""])
            yield ".".join(_text(key) for key in keys), json.loads(parts.get(ITEM_JSON, [b"null"])[0])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""


class _Reading:
    """What has been read of one `.wandb` file."""

    def __init__(self, rule: Rule):
        self._rule, self._telemetry = rule, Telemetry()
        self._about: dict[int, list] = {}
        self._config: dict[str, Any] = {}
        self._own: dict[str, list[tuple[float, float]]] = {}
        self._gpus: list[str] = []
        self._processor, self._user, self._version = "", "", ""
        self._cores: float | None = None
        self._exit: int | None = None
        self._began = self._last = 0.0

    def run(self, number: int, data: bytes) -> FoundRun | LeftAside:
        for record in records(data):
            for place, value in fields(record):
                if place in self._READ:
                    self._READ[place](self, value)
        if not self._about or not self._began:
            raise RowRefused("it has no run")
        duration_s = self._last - self._began
        if duration_s <= 0:
            return LeftAside("the run lasted no time")
        name, project = (cells.words(_text(self._about.get(place, [b""])[0])) for place in (8, 3))
        processor = pairs("cpus", self._rule.cpus, alone=True).get("", self._processor)
        gpu = pairs("gpus", self._rule.gpus).get("gpu")
        gpus = [gpu] if gpu else self._gpus
        return FoundRun(
            key=cells.words(f"{project} {_text(self._about.get(1, [b''])[0])}"),
            line=number,
            named=_model(self._config, project, name),
            started_at=cells.of_epoch(self._began, "the start"),
            duration_s=duration_s,
            devices=self._telemetry.devices(duration_s, gpus, processor, "W&B system metrics", self._cores),
            status=_status(self._exit),
            name=name,
            user=cells.words(self._user),
            version=cells.words(self._version, 64),
            tags=[tag for each in self._about.get(10, []) if (tag := cells.words(_text(each)))][:MAX_TAGS],
            params=_params(self._config),
            metrics=metrics_of(self._own),
        )

    def _run(self, message: bytes) -> None:
        self._about = _texts(message)
        if started := self._about.get(17):
            self._began = _seconds(started[0])
        for config in self._about.get(4, []):
            self._config |= dict(_items(config, 1))

    def _environment(self, message: bytes) -> None:
        about = _texts(message)
        self._user = _text(about.get(13, [b""])[0]) or self._user
        self._cores = float(about[16][0]) if about.get(16) else self._cores
        for processor in about.get(22, []):
            self._processor = cells.words(_text(_texts(processor).get(3, [b""])[0])) or self._processor
        names = [
            cells.words(_text(_texts(card).get(1, [b""])[0])) for place in (24, 26) for card in about.get(place, [])
        ]
        self._gpus = [name for name in names if name] or self._gpus

    def _stats(self, message: bytes) -> None:
        at = next((_seconds(value) for place, value in fields(message) if place == 2), 0.0)
        self._last = max(self._last, at)
        at_s, telemetry = at - self._began, self._telemetry
        for key, value in _items(message, 3):
            if not _is_number(value):
                continue
            if gpu := _GPU.match(key):
                series = telemetry.gpu_power_w if gpu[2] == "powerWatts" else telemetry.gpu_busy
                series.setdefault(int(gpu[1]), []).append((at_s, value if gpu[2] == "powerWatts" else value / 100.0))
            elif key == "cpu":
                telemetry.cpu_busy.append((at_s, value / 100.0))
            elif key == "proc.memory.rssMB":
                telemetry.memory_gb.append((at_s, value / 1000.0))

    def _history(self, message: bytes) -> None:
        row = dict(_items(message, 1))
        if not _is_number(row.get("_timestamp")):
            return
        self._last = max(self._last, row["_timestamp"])
        for key, value in row.items():
            if not key.startswith("_") and _is_number(value):
                self._own.setdefault(cells.words(key), []).append((max(row["_timestamp"] - self._began, 0.0), value))

    def _ended(self, message: bytes) -> None:
        self._exit = dict(fields(message)).get(1, 0)

    def _header(self, message: bytes) -> None:
        for _, version in fields(message):
            if isinstance(version, bytes) and (producer := _texts(version).get(1)):
                self._version = _text(producer[0]).partition("+")[0]

    _READ = {
        HISTORY: _history,
        STATS: _stats,
        RUN: _run,
        EXIT: _ended,
        HEADER: _header,
        ENVIRONMENT: _environment,
    }


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _status(code: int | None) -> str:
    """Without an exit, the process was killed."""
    if code is None:
        return Run.Status.STOPPED
    return Run.Status.FAILED if code else Run.Status.COMPLETED


def _model(config: dict[str, Any], project: str, name: str) -> str:
    for key in ("model", "model_name", "architecture", "arch"):
        if isinstance(config.get(key), str) and (model := cells.words(config[key])):
            return model
    return project or name or "W&B"


def _params(config: dict[str, Any]) -> dict:
    own = {cells.words(key, MAX_KEY): value for key, value in config.items() if not key.startswith("_")}
    return {
        key: value if _is_number(value) or isinstance(value, bool) else cells.words(_plain(value), MAX_VALUE)
        for key, value in own.items()
        if key and value is not None
    }


def _plain(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _of_table(table: Table, rule: Rule) -> Reading:
    gpu, cpu = pairs("gpus", rule.gpus).get("gpu", ""), pairs("cpus", rule.cpus, alone=True).get("", "")
    for line, values in table.rows():
        if len(values) != len(table.header):
            yield Refused(line, f"it has {len(values)} cells, but the header has {len(table.header)}: it is shifted")
            continue
        try:
            yield _row(Row(line, dict(zip(table.header, values, strict=True))), rule, gpu, cpu)
        except RowRefused as error:
            yield Refused(line, str(error))


def _row(row: Row, rule: Rule, gpu: str, cpu: str) -> FoundRun | LeftAside:
    state = (row.get("State") or "").lower()
    if state not in STATES:
        if state in ("running", "pending"):
            return LeftAside("the run has not ended")
        raise RowRefused(f"State is {cells.quoted(state)}, which W&B does not have")
    duration_s = cells.needed(row.get("Runtime"), "Runtime")
    started_at = cells.moment(row.get("Created"), "Created", rule.zone)
    gpu = cells.words(row.get("GPU Type")) or gpu
    count = int(cells.number(row.get("GPU Count"), "GPU Count", 1024) or 1) if gpu else 0
    name = cells.words(row.get("Name"))
    config = {key: value for key, value in row.cells.items() if key and key not in CSV_ABOUT and value}
    devices = [FoundDevice(f"gpu-{n}", "gpu", gpu, method="W&B runs table") for n in range(count)]
    if cpu:
        devices.append(FoundDevice("cpu-0", "cpu", cpu, method="W&B runs table"))
    return FoundRun(
        key=cells.words(row.get("ID")) or f"{name} {started_at.isoformat()}",
        line=row.line,
        named=_model(config, "", name),
        started_at=started_at,
        duration_s=duration_s,
        devices=devices if duration_s else [],
        status=STATES[state],
        name=name,
        user=cells.words(row.get("User")),
        tags=[tag for each in (row.get("Tags") or "").split(",") if (tag := cells.words(each))][:MAX_TAGS],
        params=_params(config),
    )
