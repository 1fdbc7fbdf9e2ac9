"""Samples in columns: checked against the clock, stored as a batch, and summed up as the last counters of each day."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from runs.ingest.bodies import MetricBody, SampleBody, Told
from runs.ingest.clock import MAX_AHEAD
from runs.models import Run, Writer
from runs.models.batch import Sample, pack
from runs.models.device import COUNTERS, PARTS
from runs.sql import uploads

#: What a batch keeps of a sample.
_FIELDS = [itemgetter(field) for field in Sample._fields]


class InTheFuture(Exception):
    """A sample's time lies more than a day ahead."""

    def __init__(self, sample: SampleBody):
        super().__init__(sample)
        self.sample = sample


def by_device(samples: Sequence[SampleBody]) -> dict[str, list[SampleBody]]:
    """Return samples by the key of their device, in order."""
    found: dict[str, list[SampleBody]] = {}
    for sample in samples:
        found.setdefault(sample["device"], []).append(sample)
    return found


def counters(writer: Writer, rows_by_device: Mapping[str, list[SampleBody]], now: datetime) -> dict[str, list[list]]:
    """Return the last counters of each day, as `Told` keeps them.

    Raises InTheFuture for a sample that lies there by a clock that is not known to be wrong.
    """
    found: dict[str, list[list]] = {}
    for key, rows in rows_by_device.items():
        days: dict[str, list] = {}
        first, last = (_at(writer, rows[place], now) for place in (0, -1))
        # Times don't decrease within a batch, so most are of one day, and the last one is the latest.
        for row in rows if first.date() != last.date() else rows[-1:]:
            day = _at(writer, row, now).date().isoformat()
            days[day] = [day, *(row.get(name) for name in COUNTERS), *(row[name] for name in PARTS if name in row)]  # type: ignore[literal-required]
        found[key] = list(days.values())
    return found


def _at(writer: Writer, sample: SampleBody, now: datetime) -> datetime:
    at = writer.started_at + timedelta(seconds=sample["t_s"])
    if writer.clock_skew_s:  # its start may be later than it was
        return min(at, now)
    if at > now + MAX_AHEAD:
        raise InTheFuture(sample)
    return at


def store(
    run: Run,
    writer: Writer,
    batch_id: str,
    sha256: str,
    rows_by_device: Mapping[str, list[SampleBody]],
    logged: Sequence[MetricBody],
    now: datetime,
    told: Told | None = None,
) -> bool:
    """Store samples and logged values, which charts, files and the API read, with the mark of an upload.

    Returns False if the run has such a batch, or is gone.
    """
    columns = {key: [list(map(field, rows)) for field in _FIELDS] for key, rows in rows_by_device.items()}
    times = [t_s for each in columns.values() for t_s in (each[0][0], each[0][-1])]
    row = uploads.BatchRow(
        batch_id=batch_id,
        sha256=sha256,
        received_at=now,
        first_t_s=min(times, default=None),
        last_t_s=max(times, default=None),
        sample_count=sum(map(len, rows_by_device.values())),
        series=pack(columns) if columns else b"",
        metrics=[[metric["t_s"], metric["name"], metric["value"]] for metric in logged],
    )
    return uploads.insert_batch((run.project_id, run.pk, writer.pk), row, told)
