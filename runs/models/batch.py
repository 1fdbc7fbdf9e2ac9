"""Batches of samples: a row a batch, columnar and compressed, read by nothing but the run's own chart."""

import json
import zlib
from collections.abc import Iterator
from itertools import accumulate, repeat
from operator import truediv
from typing import NamedTuple

from django.db import models

from runs.models.project import Project
from runs.models.run import Run, Writer


class Sample(NamedTuple):
    """Cumulative counters of one device at one instant: seconds, seconds, seconds, joules or None."""

    t_s: float
    elapsed_s: float
    busy_s: float
    energy_j: float | None


def pack(samples_by_device: dict[str, list[Sample]]) -> bytes:
    """Columns of whole milliseconds and millijoules, as differences, compressed: about 10 bytes a sample."""
    columns = {key: [_deltas(column) for column in zip(*rows, strict=True)] for key, rows in samples_by_device.items()}
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode(), 6)


def unpack(series: bytes) -> dict[str, list[Sample]]:
    """The inverse of `pack`, to the millisecond and millijoule."""
    return {key: list(map(Sample, *columns)) for key, columns in unpack_columns(series).items()}


def unpack_columns(series: bytes) -> dict[str, list[list]]:
    """As `unpack`, but a list for each field of Sample: curves of 100,000 samples have no time for objects."""
    packed = json.loads(zlib.decompress(series))
    return {key: [_column(deltas) for deltas in columns] for key, columns in packed.items()}


def _deltas(column) -> list[int | None]:
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


def _column(deltas: list[int | None]) -> list[float | None]:
    if None in deltas:
        return list(_sums(deltas))
    return list(map(truediv, accumulate(deltas), repeat(1000)))


def _sums(deltas) -> Iterator[float | None]:
    total = 0
    for delta in deltas:
        if delta is None:
            yield None
        else:
            total += delta
            yield total / 1000


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
