"""Batches of samples and logged values: one row per batch, samples in compressed columns."""

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

#: First byte of a packed batch of integers; zlib's own first byte is different.
BINARY = b"\x01"


class Sample(NamedTuple):
    """Cumulative counters of one device at one instant: seconds, seconds, seconds or None, joules or None."""

    t_s: float
    elapsed_s: float
    busy_s: float | None
    energy_j: float | None


def pack(samples_by_device: dict[str, list[Sample]]) -> bytes:
    """Pack columns of whole milliseconds and millijoules as compressed differences: about 6 bytes per sample.

    A line of JSON gives the length of each device's columns. Their 8-byte little-endian integers follow, because
    parsing them as text took half the time of a long run's chart. Columns with gaps, which are rare, are in the JSON
    line.
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
    """Unpack what `pack` packed, to the millisecond and millijoule."""
    return {key: list(map(Sample, *columns)) for key, columns in unpack_columns(series).items()}


def unpack_columns(series: bytes) -> dict[str, list[list]]:
    """Like `unpack`, but a list per field of Sample: objects are too slow for curves of 100,000 samples."""
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
    """Unpack batches of the first version, which are plain JSON."""
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
    """A value of a metric: the process that logged it, seconds since the run's start, name, and value."""

    writer: str
    at_s: float
    metric: str
    value: float


class Batch(models.Model):
    """The contents of one upload; its digest tells a repeat from a conflict."""

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
        """Samples by device key, in chronological order."""
        return unpack(bytes(self.series)) if self.series else {}

    def columns(self) -> dict[str, list[list]]:
        """The same with a list for each field of Sample."""
        return unpack_columns(bytes(self.series)) if self.series else {}

    def logged(self) -> list[Logged]:
        """The logged values of the batch, in seconds of the run."""
        offset_s = self.run.seconds_to(self.writer.started_at)
        return [Logged(self.writer.key, round(offset_s + t_s, 6), name, value) for t_s, name, value in self.metrics]
