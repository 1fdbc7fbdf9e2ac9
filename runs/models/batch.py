"""Batches of samples and logged values: one row per batch, samples in compressed columns."""

import json
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate, islice, repeat
from operator import mul, sub, truediv
from typing import NamedTuple

from django.db import models

from runs.models.project import Project
from runs.models.run import Run
from runs.models.writer import Writer
from runs.sql.within_project import OfProject, WithinProject

#: First byte of a packed batch, by the version of its form; zlib's own first byte, of the first version, is different.
INTEGERS, SHUFFLED = b"\x01", b"\x02"
#: Bytes of an integer, and the level of compression: after the shuffle, higher ones save 2 % and take twice the time.
WIDTH, LEVEL = 8, 3


class Sample(NamedTuple):
    """Cumulative counters of one device at one instant: seconds, seconds, seconds or None, joules or None."""

    t_s: float
    elapsed_s: float
    busy_s: float | None
    energy_j: float | None


#: Columns of whole numbers by device: milliseconds, millijoules; None is a gap.
Columns = dict[str, list[list[int | None]]]


def pack(columns_by_device: Mapping[str, Sequence[Sequence[float | None]]]) -> bytes:
    """Pack columns, one for each field of Sample, of milliseconds and millijoules: about 5 bytes per sample."""
    return pack_columns({key: list(map(_whole, columns)) for key, columns in columns_by_device.items()})


def pack_columns(columns_by_device: Columns) -> bytes:
    """Pack columns of whole numbers as compressed differences.

    A line of JSON gives the length of each device's columns. Their 8-byte little-endian integers follow, because
    parsing them as text took half the time of a long run's chart. All first bytes come first, then all second ones, and
    so on: that compresses to three quarters of the size in a fifth of the time. Columns with gaps, which are rare, are
    in the JSON line.
    """
    lengths: dict[str, list] = {}
    integers = array("q")
    for key, columns in columns_by_device.items():
        lengths[key] = []
        for column in columns:
            if None in column:
                lengths[key].append(_differences_around_gaps(column))
            else:
                lengths[key].append(len(column))
                integers.extend(column[:1])  # type: ignore[arg-type]
                integers.extend(map(sub, islice(column, 1, None), column))  # type: ignore[arg-type]
    head = json.dumps(lengths, separators=(",", ":")).encode()
    plain = _little_endian(integers).tobytes()
    shuffled = b"".join(plain[place::WIDTH] for place in range(WIDTH))
    return SHUFFLED + zlib.compress(head + b"\n" + shuffled, LEVEL)


def unpack(series: bytes) -> dict[str, list[Sample]]:
    """Unpack what `pack` packed, to the millisecond and millijoule."""
    return {key: list(map(Sample, *columns)) for key, columns in unpack_columns(series).items()}


def unpack_columns(series: bytes) -> dict[str, list[list]]:
    """Like `unpack`, but a list per field of Sample: objects are too slow for curves of 100,000 samples."""
    return {key: list(map(in_units, columns)) for key, columns in unpack_whole(series).items()}


def unpack_whole(series: bytes) -> Columns:
    """Unpack the whole numbers that `pack_columns` packed."""
    form = series[:1]
    if form not in (INTEGERS, SHUFFLED):  # batches of the first version are plain JSON
        return {key: list(map(_sums, columns)) for key, columns in json.loads(zlib.decompress(series)).items()}
    head, _, body = zlib.decompress(series[1:]).partition(b"\n")
    if form == SHUFFLED:
        plain, count = bytearray(len(body)), len(body) // WIDTH
        for place in range(WIDTH):
            plain[place::WIDTH] = body[place * count : (place + 1) * count]
        body = bytes(plain)
    integers = array("q")
    integers.frombytes(body)
    _little_endian(integers)
    found: Columns = {}
    at = 0
    for key, lengths in json.loads(head).items():
        found[key] = []
        for length in lengths:
            if isinstance(length, int):
                found[key].append(list(accumulate(integers[at : at + length])))
                at += length
            else:
                found[key].append(_sums(length))
    return found


def in_units(column: list[int | None]) -> list:
    """Return thousandths as seconds, joules or watts."""
    if None in column:
        return [None if whole is None else whole / 1000 for whole in column]
    return list(map(truediv, column, repeat(1000)))  # type: ignore[arg-type]


def _little_endian(integers: array) -> array:
    if sys.byteorder == "big":
        integers.byteswap()
    return integers


def _whole(column: Sequence[float | None]) -> list[int | None]:
    if None in column:
        return [None if value is None else round(value * 1000) for value in column]
    return list(map(float.__round__, map(mul, column, repeat(1000.0))))  # type: ignore[arg-type]  # round takes twice as long


def _differences_around_gaps(column: list[int | None]) -> list[int | None]:
    differences: list[int | None] = []
    before = 0
    for whole in column:
        differences.append(None if whole is None else whole - before)
        before = before if whole is None else whole
    return differences


def _sums(differences: Sequence[int | None]) -> list[int | None]:
    sums: list[int | None] = []
    total = 0
    for difference in differences:
        total += difference or 0
        sums.append(None if difference is None else total)
    return sums


class Logged(NamedTuple):
    """A value of a metric: the process that logged it, seconds since the run's start, name, and value."""

    writer: str
    at_s: float
    metric: str
    value: float


class Batch(OfProject):
    """The contents of one upload; its digest tells a repeat from a conflict."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = WithinProject(Run, on_delete=models.CASCADE, related_name="batches", db_index=False)
    writer = WithinProject(Writer, on_delete=models.CASCADE, related_name="batches")
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
        indexes = [
            models.Index(fields=["run", "id"], name="batch_by_arrival"),
            models.Index(fields=["run", "first_t_s"], name="batch_by_time"),
        ]

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
