"""A run's samples and logged values as files: streamed, unrounded, with units in column names."""

from collections.abc import Iterator

from django.db.models import QuerySet

from runs.exports.files import file
from runs.figures.curves import profile_of
from runs.models import Batch, Run
from runs.models.batch import Logged
from runs.web.access import run_or_404
from traceml_agent import estimation

#: Batches in memory at a time: few, so that the first rows are on their way at once.
READ_AT_ONCE = 20
LOGGED_COLUMNS = list(Logged._fields)
SAMPLE_COLUMNS = ["writer", "device", "basis", "t_s", "elapsed_s", "busy_s", "measured_energy_j", "counted_energy_j"]


def series_export(request, run_id, form: str):
    """Stream every stored sample of a run."""
    run = run_or_404(request, run_id)
    return file(sample_rows(run), SAMPLE_COLUMNS, form, f"run-{run.run_id}")


def metrics_export(request, run_id, form: str):
    """Stream every value that a run logged."""
    run = run_or_404(request, run_id)
    return file(logged_rows(run), LOGGED_COLUMNS, form, f"metrics-{run.run_id}")


def sample_rows(run: Run) -> Iterator[dict]:
    """Yield every stored sample with its cumulative counters, and the energy counted up to it."""
    devices = {(each.writer_id, each.key): each for each in run.devices.select_related("profile")}
    profiles = {key: profile_of(device) for key, device in devices.items()}
    for batch in _one_by_one(run.batches.defer("metrics"), "writer_id", "first_t_s", "pk"):
        for key, samples in batch.samples().items():
            device, profile = devices[batch.writer_id, key], profiles[batch.writer_id, key]
            for sample in samples:
                held_s = device.held_share * sample.elapsed_s
                energy = estimation.device_energy(device.facts(held_s, sample.busy_s, sample.energy_j), profile)
                yield {
                    "writer": batch.writer.key,
                    "device": key,
                    "basis": energy.basis,
                    "t_s": sample.t_s,
                    "elapsed_s": sample.elapsed_s,
                    "busy_s": sample.busy_s,
                    "measured_energy_j": sample.energy_j,
                    "counted_energy_j": energy.energy_j,
                }


def logged_rows(run: Run) -> Iterator[dict]:
    """Yield every logged value that is still stored, by process in order of arrival."""
    for batch in _one_by_one(run.batches.exclude(metrics=[]).defer("series"), "writer_id", "pk"):
        yield from (value._asdict() for value in batch.logged())


def _one_by_one(batches: QuerySet[Batch], *order: str) -> Iterator[Batch]:
    """Yield batches in order, a few read at a time: a database that sorts whole rows reads all before the first."""
    ids = list(batches.order_by(*order).values_list("pk", flat=True))
    for some in (ids[start : start + READ_AT_ONCE] for start in range(0, len(ids), READ_AT_ONCE)):
        found = batches.select_related("writer", "run").in_bulk(some)
        yield from (found[pk] for pk in some if pk in found)
