"""The thinned curve of a long run (`RunCurve`), kept while batches arrive, so that its page need not read them all.

A run's newest batches are not in it. When they have become many, they are folded in at once: that costs a few
microseconds per sample, and short runs have no curve. The result does not depend on the order of arrival: time is
divided into intervals, of which the last sample is kept, and when there are too many samples, the intervals become
twice as long. Counters are cumulative, so means between kept samples are exact. Lows and highs are kept with them,
because people look for peaks in a chart.
"""

from collections import defaultdict

from runs.models import Batch, Run, RunCurve
from runs.models.batch import Columns, pack_columns, unpack_whole
from runs.models.metric import WORK
from runs.silence import longest_silence
from runs.thinning.samples import COUNTERS, T, joined, thinned
from runs.thinning.values import thinned_values, time_of

#: Batches wait until they have so many samples. Reading a batch takes as long as reading this many samples.
MOST_WAITING = 10_000
A_BATCH = 40
#: A run that ended waits for nothing else, and is what people open.
MOST_WAITING_AT_THE_END = 1_000
#: Samples of a device, of all devices, and the fewest of a device where there are many.
MOST_OF_A_DEVICE, MOST_IN_ALL, FEWEST_OF_A_DEVICE = 600, 12_000, 64
#: The ends of so many first stages keep the samples around them: those of the page's first table.
STAGES_KEPT = 50
#: The most values of a metric that are kept, and of all.
MOST_OF_A_METRIC, MOST_VALUES, FEWEST_OF_A_METRIC = 400, 12_000, 40
#: Shorter intervals have no power of their own, because devices are read one after the other.
AT_ONCE_MS = 100
SILENCES_KEPT = 5
#: A value that was logged this long after a stage may be its result (runs/figures/stages.py).
RESULTS_WITHIN_S = 1.0
#: Longer than any run: a run of very many devices keeps a few samples of each.
LONGEST_MS = 2**42


def keep_up(run: Run, values: int, batches: int = 1, at_the_end: bool = False) -> None:
    """Count new batches, with so many samples and logged values, and fold all that wait once they are many.

    The run's lock is held; the caller saves the run.
    """
    run.curve_behind = (run.curve_behind or 0) + values + A_BATCH * batches
    if run.curve_behind >= (MOST_WAITING_AT_THE_END if at_the_end else MOST_WAITING):
        fold(run)


def start_again(run: Run) -> None:
    """Forget the curve: a batch with a lower key than those in it was committed after them, as keys are not in order.

    The run's lock is held; the caller saves the run.
    """
    RunCurve.objects.filter(run=run).delete()
    run.curve_behind = MOST_WAITING


def fold(run: Run) -> None:
    """Take all batches that are not in the run's curve into it. The run's lock is held; the caller saves the run."""
    kept = RunCurve.objects.filter(run=run).first() or RunCurve(run=run, project_id=run.project_id)
    batches = list(run.batches.filter(pk__gt=kept.through_id).order_by("pk"))
    run.curve_behind = 0
    if not batches:
        return
    edges = _edges(run)
    _keep_samples(kept, edges, batches)
    _keep_logged(kept, edges, batches)
    _keep_silences(kept, run, batches)
    kept.longest_s = max(kept.longest_s, *((batch.last_t_s or 0.0) - (batch.first_t_s or 0.0) for batch in batches))
    kept.through_id = batches[-1].pk
    kept.save()


def _keep_samples(kept: RunCurve, edges: dict[int, list[int]], batches: list[Batch]) -> None:
    columns, waiting, settled = kept.columns(), _waiting(batches), {}
    for key, added in waiting.items():
        settled[key], waiting[key] = joined(columns.get(key), added)
    _keep_peaks(kept, waiting)
    moments = {key: [*edges.get(int(key.partition("/")[0]), ()), *_of_peak(kept, key)] for key in columns | waiting}
    for key, news in waiting.items():
        new = thinned(news, kept.interval_ms, moments[key])
        columns[key] = [[*before, *after] for before, after in zip(settled[key], new, strict=True)]
    most = max(min(MOST_OF_A_DEVICE * len(columns), MOST_IN_ALL), FEWEST_OF_A_DEVICE * len(columns))
    while sum(len(column[T]) for column in columns.values()) > most and kept.interval_ms < LONGEST_MS:
        kept.interval_ms *= 2
        columns = {key: thinned(each, kept.interval_ms, moments[key]) for key, each in columns.items()}
    kept.series = pack_columns(columns)


def _waiting(batches: list[Batch]) -> Columns:
    """Return the samples of batches as columns of Sample's fields by writer and device."""
    found: Columns = {}
    for batch in sorted(batches, key=lambda batch: batch.first_t_s or 0.0):
        for key, added in (unpack_whole(bytes(batch.series)) if batch.series else {}).items():
            place = found.setdefault(f"{batch.writer_id}/{key}", [[] for _ in range(COUNTERS)])
            for column, more in zip(place, added, strict=True):
                column.extend(more)
    return found


def _edges(run: Run) -> dict[int, list[int]]:
    """Return when the run's first stages begin and end, by writer, in milliseconds of that writer.

    All ranks and hosts work on a stage, so its edges are the same instants for all writers.
    """
    writers = {writer.pk: run.seconds_to(writer.started_at) for writer in run.writers.all()}
    stages = run.stages.values_list("writer_id", "start_s", "end_s")[:STAGES_KEPT]
    at_s = [writers[pk] + edge_s for pk, *ends in stages for edge_s in ends if edge_s is not None]
    return {pk: sorted(round(1000 * (each - offset_s)) for each in at_s) for pk, offset_s in writers.items()}


def _of_peak(kept: RunCurve, key: str) -> list[int]:
    return kept.peaks.get(key.partition("/")[0], [0])[1:]


def _keep_peaks(kept: RunCurve, columns: dict[str, list[list]]) -> None:
    """Keep between which two new samples each writer's devices together had the highest power.

    That needs samples of all its devices at the same times. If no device has joules, their utilisation counts.
    """
    by_writer: dict[str, list[list[list]]] = defaultdict(list)
    for key, of_device in columns.items():
        by_writer[key.partition("/")[0]].append(of_device)
    for writer, devices in by_writer.items():
        t = devices[0][T]
        if any(device[T] != t for device in devices):
            continue
        measured = [device[-1] for device in devices if None not in device[-1]]
        rates = measured or [device[-3] for device in devices if None not in device[-3]]
        # The first one may be a kept sample, which stands for several.
        together = list(map(sum, zip(*rates, strict=True)))[1:]
        found = [(rate, place) for place, rate in enumerate(together) if t[place + 1] - t[place] > AT_ONCE_MS]
        rate, place = max(found, default=(0.0, 0))
        if rate > kept.peaks.get(writer, [0.0])[0]:
            kept.peaks[writer] = [rate, t[place], t[place + 1]]


def _keep_logged(kept: RunCurve, edges: dict[int, list[int]], batches: list[Batch]) -> None:
    logged: dict[tuple[str, str], list] = defaultdict(list)
    for writer, rows in kept.logged.items():
        for row in rows:
            logged[writer, row[1]].append(row)
    for batch in batches:
        for row in batch.metrics:
            if row[1] not in WORK:
                logged[str(batch.writer_id), row[1]].append(row)
    most = max(min(MOST_OF_A_METRIC, MOST_VALUES // max(len(logged), 1)), FEWEST_OF_A_METRIC)
    kept.logged = {}
    for (writer, _), rows in logged.items():
        rows.sort(key=time_of)
        ends_s = [edge / 1000 + after_s for edge in edges.get(int(writer), ()) for after_s in (0.0, RESULTS_WITHIN_S)]
        kept.logged.setdefault(writer, []).extend(thinned_values(rows, most, ends_s))


def _keep_silences(kept: RunCurve, run: Run, batches: list[Batch]) -> None:
    limit = longest_silence(run.upload_interval_s)
    before = kept.heard_at or run.received_at
    for batch in batches:
        if batch.received_at - before > limit:
            kept.silences.append([before.isoformat(), batch.received_at.isoformat()])
        before = max(before, batch.received_at)
    kept.heard_at, kept.silences = before, kept.silences[-SILENCES_KEPT:]
