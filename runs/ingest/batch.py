"""A batch of samples, stages, metrics and calls, stored once no matter how often it is sent."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from runs.ingest import series, writers
from runs.ingest.bodies import BatchBody, FinishBody, Told
from runs.ingest.folding.fold import fold
from runs.ingest.keeping import RunDeleted, place_in_line, upload_of
from runs.models import Batch, Project, Run, Writer
from runs.sql import uploads

#: What a batch tells besides its samples and logged values.
FURTHER = ("devices", "stages", "calls", "left_out", "overlaps", "about")


class BatchConflict(Exception):
    """A different batch with this id is already stored."""


def record_batch(
    project: Project, run_id: Any, batch_id: str, sha256: str, data: BatchBody, at_once: bool = False
) -> tuple[Run, bool]:
    """Store a batch. Returns the run, with the totals before it, and whether the batch is new.

    Totals follow (`runs.ingest.folding`); with `at_once` they follow in the same transaction.

    Raises Run.DoesNotExist for an unknown run, RunDeleted for a deleted one, BatchConflict for the same id with
    another digest, ValidationError for samples of undescribed devices.
    """
    place = None if at_once else writers.place_of(project, run_id, data)
    if place and place.writer:
        return place.run, _store(project, place, batch_id, sha256, data)
    with upload_of(project):  # the run must stay for a new writer, and for the fold
        place = writers.place_of(project, run_id, data, uploads.TAKE if at_once else uploads.KEEP)
        stored = _store(project, place, batch_id, sha256, data)
        return (fold([place.run.pk])[place.run.pk] if at_once else place.run), stored


def _store(project: Project, place: writers.Place, batch_id: str, sha256: str, data: BatchBody) -> bool:
    run, writer = place.run, place.writer or writers.writer_of(place.run, data)
    rows = series.by_device(data["samples"])
    told: Told = {"counters": counted(writer, rows, data, place.described)}
    told |= {name: data[name] for name in FURTHER if data.get(name)}  # type: ignore[literal-required, typeddict-item]
    told["last_t_s"] = max((mine[-1]["t_s"] for mine in rows.values()), default=0.0)
    with place_in_line(project):
        stored = series.store(run, writer, batch_id, sha256, rows, data["metrics"], timezone.now(), told)
    if not stored:
        _compare(project, run, batch_id, sha256)
    return stored


def counted(
    writer: Writer, rows: dict[str, list], data: BatchBody | FinishBody, described: set[str]
) -> dict[str, list[list]]:
    """Return the last counters of the devices, as `Told` keeps them.

    Raises ValidationError for a sample in the future, or of a device that was never described.
    """
    unknown = rows.keys() - described - {device["key"] for device in data["devices"]}
    if unknown and (unknown := unknown - writers.described_lately(writer)):
        index = next(index for index, sample in enumerate(data["samples"]) if sample["device"] in unknown)
        raise ValidationError({f"samples[{index}].device": "is the key of a device that was never described"})
    try:
        return series.counters(writer, rows, timezone.now())
    except series.InTheFuture as error:
        index = next(index for index, sample in enumerate(data["samples"]) if sample is error.sample)
        raise ValidationError({f"samples[{index}].t_s": "is in the future; check the machine's clock"}) from None


def _compare(project: Project, run: Run, batch_id: str, sha256: str) -> None:
    """Raise BatchConflict if the batch that is stored is another, RunDeleted if the run has just gone."""
    stored = Batch.objects.filter(run=run, project=project, batch_id=batch_id).values_list("sha256", flat=True).first()
    if stored is None:
        raise RunDeleted
    if stored != sha256:
        raise BatchConflict
