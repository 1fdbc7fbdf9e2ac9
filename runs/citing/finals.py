"""The final runs of a model: its last completed training, and the finetuning that followed it."""

from django.db.models import Q, Subquery

from runs.figures.lifetime import TRAINING
from runs.figures.run_links import RunLink, lines
from runs.models import Run, TrackedModel


def final_runs(model: TrackedModel, runs: list[RunLink], most: int) -> list[RunLink]:
    """Return the last completed training and, if one followed it, the last completed finetuning, in chronological
    order.

    `runs` are the newest, at most `most`; if they are not enough and older ones may exist, the database is asked.
    """
    last: dict[str, RunLink | None] = {kind: _last(run for run in runs if _is_done(run, kind)) for kind in TRAINING}
    lacking = [kind for kind, run in last.items() if run is None]
    if lacking and len(runs) == most:
        last |= {run.kind: run for run in _older(model, lacking)}
    training, tuning = (last[kind] for kind in TRAINING)
    if training and tuning and tuning.started_at < training.started_at:
        tuning = None  # it tuned an older training
    return [run for run in (training, tuning) if run]


def _is_done(run: RunLink, kind: str) -> bool:
    return run.kind == kind and run.status == Run.Status.COMPLETED


def _last(runs) -> RunLink | None:
    return max(runs, key=lambda run: (run.started_at, run.pk), default=None)


def _older(model: TrackedModel, kinds: list[str]) -> list[RunLink]:
    wanted = Q(pk__in=())  # nothing, and unlike pk=None nothing in the SQL: that made SQLite read all runs
    for kind in kinds:
        done = Run.objects.filter(tracked_model=model, kind=kind, status=Run.Status.COMPLETED)
        wanted |= Q(pk=Subquery(done.order_by("-started_at", "-pk").values("pk")[:1]))
    return lines(model, Run.objects.filter(wanted))
