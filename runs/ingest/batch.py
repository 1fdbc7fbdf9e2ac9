"""A batch of samples, stages, metrics and calls, stored once no matter how often it is sent."""

from collections.abc import Sequence

from django.utils import timezone

from runs.ingest import about, metrics, outcome, totals, writers
from runs.ingest.bodies import BatchBody, CallsBody, MetricBody, SampleBody, StageBody
from runs.ingest.removal import locked_run, upload_of
from runs.left_out import LeftOut, added_up
from runs.models import Batch, Call, Project, Run, Stage, Writer
from runs.models.batch import Sample, pack
from traceml_agent.limits import MAX_METHODS, MAX_STAGES


class BatchConflict(Exception):
    """A different batch with this id is already stored."""


def record_batch(project: Project, run_id, batch_id: str, sha256: str, data: BatchBody) -> tuple[Run, bool]:
    """Store a batch. Returns the run and whether the batch is new.

    Raises Run.DoesNotExist for an unknown run, RunDeleted for a deleted one, BatchConflict for the same id with
    another digest, ValidationError for samples of undescribed devices.
    """
    if found := _known(project, run_id, batch_id):
        return _repeated(found.run, found.sha256, sha256)
    with upload_of(project):
        run = locked_run(project, run_id)
        stored = Batch.objects.filter(run=run, batch_id=batch_id).values_list("sha256", flat=True).first()
        if stored is not None:
            return _repeated(run, stored, sha256)
        writer = writers.writer_of(run, data)
        devices = writers.describe_devices(run, writer, data["devices"])
        writers.count_samples(run, writer, devices, data)
        samples = [sample for sample in data["samples"] if sample["device"] in devices]
        store_series(run, writer, batch_id, sha256, samples, data["metrics"])
        _store_stages(run, writer, data["stages"])
        _store_calls(run, writer, data["calls"])
        metrics.take_in(run, writer, data["metrics"])
        writers.take_left_out(writer, data)
        run.overlap(data.get("overlaps", ()))
        run.last_seen_at = timezone.now()
        changes = totals.UsageChanges()
        about.take_in(run, data.get("about"), changes)
        if run.status != Run.Status.RUNNING and writer.status == Run.Status.RUNNING:
            writer.save()
            outcome.settle(run)
        totals.refresh(run, writer, devices, changes)
    return run, True


def _known(project: Project, run_id, batch_id: str) -> Batch | None:
    """Return the batch if it is already stored. Checked before any lock is taken, so that repeats block nobody."""
    found = Batch.objects.filter(run__project=project, run__run_id=run_id, batch_id=batch_id).select_related("run")
    return found.only("sha256", "run__run_id", "run__energy_kwh", "run__emissions_kg").first()


def _repeated(run: Run, stored: str, sha256: str) -> tuple[Run, bool]:
    if stored != sha256:
        raise BatchConflict
    return run, False


def store_series(
    run: Run, writer: Writer, batch_id: str, sha256: str, samples: list[SampleBody], metrics: Sequence[MetricBody] = ()
) -> None:
    """Store samples of described devices and logged values, which charts, files and the API read."""
    series: dict[str, list[Sample]] = {}
    for sample in samples:
        row = Sample(sample["t_s"], sample["elapsed_s"], sample["busy_s"], sample["energy_j"])
        series.setdefault(sample["device"], []).append(row)
    times = [sample["t_s"] for sample in samples]
    Batch.objects.create(
        project_id=run.project_id,
        run=run,
        writer=writer,
        batch_id=batch_id,
        sha256=sha256,
        first_t_s=min(times, default=None),
        last_t_s=max(times, default=None),
        sample_count=len(times),
        series=pack(series) if series else b"",
        metrics=[[metric["t_s"], metric["name"], metric["value"]] for metric in metrics],
    )


def _store_stages(run: Run, writer: Writer, stages: list[StageBody]) -> None:
    """Store stages. A later report of a stage replaces an earlier one; a stage that has ended never opens again."""
    if not stages:
        return
    latest = {stage["id"]: stage for stage in stages}
    known = dict(Stage.objects.filter(writer=writer, key__in=latest).values_list("key", "end_s"))
    fresh = [key for key in latest if key not in known]
    room = max(0, MAX_STAGES - Stage.objects.filter(run=run).count()) if fresh else 0
    _leave_out(run, "reports of further stages", f"a run keeps at most {MAX_STAGES:,} stages", len(fresh[room:]))
    taken = {*fresh[:room], *(key for key, end_s in known.items() if end_s is None)}
    rows = [
        Stage(
            project_id=run.project_id,
            run=run,
            writer=writer,
            key=key,
            name=stage["name"],
            parent=stage["parent"],
            start_s=stage["start_s"],
            end_s=stage["end_s"],
            total=stage.get("total"),
        )
        for key, stage in latest.items()
        if key in taken
    ]
    Stage.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["writer", "key"],
        update_fields=["name", "parent", "start_s", "end_s", "total"],
    )


def _store_calls(run: Run, writer: Writer, calls: list[CallsBody]) -> None:
    """Store calls. Counts are cumulative by method, so the larger one is the later one, in any order of arrival."""
    known = {call.method: call for call in Call.objects.filter(writer=writer)}
    methods: set[str] = set(known)
    if any(report["method"] not in known for report in calls):
        methods = set(Call.objects.filter(run=run).order_by().values_list("method", flat=True).distinct())
    left_out = 0
    for report in calls:
        if report["method"] not in methods and len(methods) >= MAX_METHODS:
            left_out += 1
            continue
        methods.add(report["method"])
        call = known.setdefault(
            report["method"], Call(project_id=run.project_id, run=run, writer=writer, method=report["method"])
        )
        if report["calls"] >= call.calls:
            call.calls, call.items, call.busy_s = report["calls"], report["items"], report["busy_s"]
            call.save()
    _leave_out(run, "reports of calls", f"a run keeps at most {MAX_METHODS} methods", left_out)


def _leave_out(run: Run, what: str, reason: str, count: int) -> None:
    if count:
        run.left_out = added_up(run.left_out, [LeftOut(what=what, reason=reason, count=count)])
