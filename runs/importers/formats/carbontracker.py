"""carbontracker's logs: the standard log has each epoch's power by device, the output log the total with PUE.

Power is without PUE, and so is the energy taken here; the total of the output log, with carbontracker's PUE, is kept
as reported. Our own grammar, because carbontracker's parser reads only the first GPU of several.
"""

import re
from datetime import datetime, timedelta, tzinfo

from runs.importers import cells
from runs.importers.found import (
    CPU,
    GPU,
    FileRefused,
    FoundDevice,
    FoundRun,
    FoundStage,
    Reading,
    Refused,
    RowRefused,
)
from runs.importers.rule import Rule
from runs.importers.source import Source
from runs.models import Run

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d+)? - (.*)", re.DOTALL)
_VERSION = re.compile(r"carbontracker version (\S{1,40})")
_FOUND = re.compile(r"The following components were found: (.*)")
_PART = re.compile(r"(GPU|CPU) with device\(s\) (.*?)\.(?= [GC]PU with|\s*\Z)")
_EPOCH = re.compile(r"Epoch (\d{1,9}):")
_DURATION = re.compile(r"Duration: (\S{1,40})")
_POWER = re.compile(r"Average power usage \(W\) for (gpu|cpu): (.*)", re.DOTALL)
_NUMBER = re.compile(r"[-+.\deE]+|nan|inf")
_STOPPED = "Training was interrupted before all"
_FILE = re.compile(r"(?:(.*)_)?\d+\.[^_]+_\d{4}-\d\d-\d\dT\d{6}Z_carbontracker(?:_output|_err)?\.log\Z", re.DOTALL)
MARK = "carbontracker version"
OUTPUT_MARK = "CarbonTracker: "


def is_carbontracker(head: str) -> bool:
    return bool(_LINE.match(head)) and (MARK in head or OUTPUT_MARK in head)


class _Log:
    """What has been read of a log: its epochs, each with its end, seconds, and power by kind in W."""

    def __init__(self) -> None:
        self.version, self.stopped = "", False
        self.names: dict[str, list[str]] = {GPU: [], CPU: []}
        self.epochs: list[tuple[int, datetime, float, dict[str, list[float]]]] = []


def read(source: Source, rule: Rule) -> Reading:
    log, refused = _read_log(source, rule.zone)
    yield from refused
    if not log.epochs:
        reason = "Import the log that ends in _carbontracker.log; it has the epochs and their power"
        raise FileRefused(f"No epoch with its power is in this log. {reason}.")
    yield _run(source, log)


def _messages(source: Source):
    """Line, time and text of each message; a message may go on for several lines."""
    begun: tuple[int, str, str] | None = None
    for number, line in enumerate(source.lines(), start=1):
        if found := _LINE.match(line):
            if begun:
                yield begun
            begun = number, found[1], found[2].rstrip("\n")
        elif begun:
            begun = begun[0], begun[1], (begun[2] + "\n" + line.rstrip("\n"))[:100_000]
    if begun:
        yield begun


def _read_log(source: Source, zone: tzinfo) -> tuple[_Log, list[Refused]]:
    log, refused = _Log(), []
    epoch, duration_s = 0, None
    for line, at, text in _messages(source):
        try:
            if found := _VERSION.search(text):
                log.version = found[1]
            elif found := _FOUND.search(text):
                for kind, names in _PART.findall(found[1]):
                    log.names[GPU if kind == "GPU" else CPU] = [cells.words(name) for name in names.split(", ")]
            elif found := _EPOCH.match(text):
                epoch, duration_s = int(found[1]), None
            elif found := _DURATION.match(text):
                duration_s = cells.duration(found[1], "Duration")
                if duration_s:
                    log.epochs.append((epoch, cells.moment(at, "the time", zone), duration_s, {}))
            elif (found := _POWER.match(text)) and duration_s:
                log.epochs[-1][3][GPU if found[1] == "gpu" else CPU] = [
                    cells.needed(power, "the power", cells.MAX_MEAN_W) for power in _NUMBER.findall(found[2])
                ]
            elif text.startswith(_STOPPED):
                log.stopped = True
        except RowRefused as error:
            refused.append(Refused(line, str(error)))
    log.epochs = [each for each in log.epochs if each[3]]
    return log, refused


def _run(source: Source, log: _Log) -> FoundRun:
    started_at = min(at - timedelta(seconds=lasted_s) for _, at, lasted_s, _ in log.epochs)
    ended_at = max(at for _, at, _, _ in log.epochs)
    energy_j: dict[tuple[str, int], float] = {}
    for _, _, lasted_s, powers in log.epochs:
        for kind, values in powers.items():
            for number, power_w in enumerate(values):
                energy_j[kind, number] = energy_j.get((kind, number), 0.0) + power_w * lasted_s
    named = _FILE.match(source.name)
    return FoundRun(
        key=f"{source.name if named else ''} {started_at.isoformat()}",
        line=1,
        named=cells.words(named[1] if named else source.name.rpartition(".")[0]) or "carbontracker",
        started_at=started_at,
        duration_s=(ended_at - started_at).total_seconds(),
        devices=[_device(log, kind, number, joules) for (kind, number), joules in sorted(energy_j.items())],
        status=Run.Status.CANCELLED if log.stopped else Run.Status.COMPLETED,
        version=cells.words(log.version, 64),
        stages=[
            FoundStage(f"epoch {number}", max(end_s - lasted_s, 0.0), end_s)
            for number, at, lasted_s, _ in log.epochs
            for end_s in [(at - started_at).total_seconds()]
        ],
        reported_kwh=sum(energy_j.values()) / 3.6e6,
    )


def _device(log: _Log, kind: str, number: int, energy_j: float) -> FoundDevice:
    names = log.names[kind]
    name = names[number] if number < len(names) else (names[0] if names else kind.upper())
    return FoundDevice(f"{kind}-{number}", kind, name, None, energy_j, method="carbontracker, power by epoch")
