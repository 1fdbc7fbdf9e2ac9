"""Batches of samples and logged values: a row a batch, samples columnar and compressed."""

import json
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, repeat
from operator import truediv
from typing import NamedTuple

from django.db import models

from runs.models.project import Project
from runs.models.run import Run, Writer

#: How a packed batch of integers begins; zlib's own first byte is another.
BINARY = b"\x01"


class Sample(NamedTuple):
    """Cumulative counters of one device at one instant: seconds, seconds, seconds or None, joules or None."""

    t_s: float
    elapsed_s: float
    busy_s: float | None
    energy_j: float | None


def pack(samples_by_device: dict[str, list[Sample]]) -> bytes:
    """Columns of whole milliseconds and millijoules, as differences, compressed: about 6 bytes a sample.

    A line of JSON says how long each device's columns are; their integers of 8 bytes follow, little-endian, as parsing
    them as text took half the time of a long run's chart. Columns with gaps, which are rare, stand in the line.
    """
    lengths: dict[str, list] = {}
    integers = array("q")
    for key, rows in samples_by_device.items():
        columns = [_deltas(column) for column in zip(*rows, strict=True)]
        lengths[key] = [column if None in column else len(column) for column in columns]
        for column in columns:
            if None not in column:
                integers.extend(column)  # type: ignore[arg-type]
    head = json.dumps(lengths, separators=(",", ":")).encode()
    return BINARY + zlib.compress(head + b"\n" + _little_endian(integers).tobytes(), 6)


def unpack(series: bytes) -> dict[str, list[Sample]]:
    """The inverse of `pack`, to the millisecond and millijoule."""
    return {key: list(map(Sample, *columns)) for key, columns in unpack_columns(series).items()}


def unpack_columns(series: bytes) -> dict[str, list[list]]:
    """As `unpack`, but a list for each field of Sample: curves of 100,000 samples have no time for objects."""
    if not series.startswith(BINARY):
        return _of_text(series)
    head, _, body = zlib.decompress(series[len(BINARY) :]).partition(b"\n")
    integers = array("q")
    integers.frombytes(body)
    _little_endian(integers)
    found: dict[str, list[list]] = {}
    at = 0
    for key, lengths in json.loads(head).items():
        found[key] = []
        for length in lengths:
            if isinstance(length, int):
                found[key].append(_column(integers[at : at + length]))
                at += length
            else:
                found[key].append(_column(length))
    return found


def _of_text(series: bytes) -> dict[str, list[list]]:
    """Batches of the first version: JSON alone."""
    packed = json.loads(zlib.decompress(series))
    return {key: [_column(deltas) for deltas in columns] for key, columns in packed.items()}


def _little_endian(integers: array) -> array:
    if sys.byteorder == "big":
        integers.byteswap()
    return integers


def _deltas(column: Iterable[float | None]) -> list[int | None]:
    deltas: list[int | None] = []
    before = 0
    for value in column:
        if value is None:
            deltas.append(None)
            continue
        whole = round(value * 1000)
        deltas.append(whole - before)
        before = whole
    return deltas


def _column(deltas: Sequence[int | None]) -> list[float | None]:
    if isinstance(deltas, list) and None in deltas:
        return list(_sums(deltas))
    return list(map(truediv, accumulate(deltas), repeat(1000)))  # type: ignore[arg-type]


def _sums(deltas: Iterable[int | None]) -> Iterator[float | None]:
    total = 0
    for delta in deltas:
        if delta is None:
            yield None
        else:
            total += delta
            yield total / 1000


class Logged(NamedTuple):
    """A value of a metric: the process that logged it, seconds since the run's start, name and value."""

    writer: str
    at_s: float
    metric: str
    value: float


class Batch(models.Model):
    """What one upload brought; its digest tells a repeat from a conflict."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="batches")
    writer = models.ForeignKey(Writer, on_delete=models.CASCADE, related_name="batches")
    batch_id = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField(auto_now_add=True)
    first_t_s = models.FloatField(null=True)
    last_t_s = models.FloatField(null=True)
    sample_count = models.PositiveIntegerField(default=0)
    series = models.BinaryField(default=b"")
    metrics = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "batch_id"], name="batch_id_once_per_run")]

    def __str__(self):
        return self.batch_id

    def samples(self) -> dict[str, list[Sample]]:
        """Samples by the device's key, in the order of time."""
        return unpack(bytes(self.series)) if self.series else {}

    def columns(self) -> dict[str, list[list]]:
        """The same, a list for each field of Sample."""
        return unpack_columns(bytes(self.series)) if self.series else {}

    def logged(self) -> list[Logged]:
        """The values that came with it, on the run's own clock."""
        offset_s = self.run.seconds_to(self.writer.started_at)
        return [Logged(self.writer.key, round(offset_s + t_s, 6), name, value) for t_s, name, value in self.metrics]
