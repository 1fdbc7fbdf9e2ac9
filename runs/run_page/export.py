"""A run's samples and logged values as files: streamed, unrounded, with units in column names."""

from collections.abc import Iterator

from runs.exports.files import file
from runs.figures.curves import profile_of
from runs.models import Run
from runs.models.batch import Logged
from runs.web.access import run_or_404
from traceml_agent import estimation

READ_AT_ONCE = 500
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
    batches = run.batches.select_related("writer").defer("metrics").order_by("writer_id", "first_t_s", "pk")
    for batch in batches.iterator(chunk_size=READ_AT_ONCE):  # never holds a month's samples in memory
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
    batches = run.batches.exclude(metrics=[]).select_related("writer", "run").defer("series")
    for batch in batches.order_by("writer_id", "pk").iterator(chunk_size=READ_AT_ONCE):
        yield from (value._asdict() for value in batch.logged())
