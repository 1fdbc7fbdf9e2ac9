"""Re-estimation: past runs follow a correction of the catalogue, the emission factor, the PUE or the estimation.

Devices show which runs are outdated, so that a pass can be stopped and continued at any time: a device is outdated if
it was estimated with an older revision of its profile or of the formulas, or if its name matches another profile now.
Measured energy never changes, but its idle part depends on the profile of an accelerator.
"""

import gc
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone
from django_tasks import task, task_backends
from django_tasks_db import DatabaseBackend
from django_tasks_db.models import DBTaskResult

from hardware.models import HardwareProfile
from runs.ingest import totals
from runs.ingest.keeping import hold
from runs.jobs.pace import Pace
from runs.models import Correction, Device, EmissionFactor, Pue, Reestimation, Run, RunRevision, Writer
from runs.models.device import ACCELERATORS
from runs.models.reestimation import FIGURES
from runs.sql import writes
from runs.sql.locks import locked
from traceml_agent import estimation

#: What can distinguish cards with the same name.
IDENTITY = ("name", "kind", "memory_gb", "power_limit_w")
#: How many names that match another profile are looked up at once; SQLite accepts no deeper expression.
NAMES_AT_ONCE = 300
DEVICE_FIELDS = (
    "profile_id",
    "profile_revision",
    "estimation_revision",
    "matched_by",
    "basis",
    "counted",
    "energy_kwh",
    "energy_low_kwh",
    "energy_high_kwh",
    "shared_kwh",
)

RUN_FIELDS = (
    "factor_id",
    "pue",
    "duration_s",
    "hardware",
    "shared_kwh",
    "shared_kg",
    "modelled_kwh",
    "usage",
    *FIGURES,
)

T = TypeVar("T")


class Touched(NamedTuple):
    """What a correction affects."""

    runs: int
    teams: int
    energy_kwh: float
    emissions_kg: float


class Former(NamedTuple):
    """What a run had before: its factor and PUE, and FIGURES in their order."""

    factor_id: int
    pue: float
    energy_kwh: float
    energy_low_kwh: float
    energy_high_kwh: float
    measured_kwh: float
    emissions_kg: float
    idle_kwh: float


def behind(takes_factor: bool = False, takes_pue: bool = False):
    """Return the runs whose figures would be different if they arrived today."""
    found = Q(pk__in=_of_changed_power().values("run")) | Q(pk__in=_of_changed_name().values("run"))
    if takes_factor:
        found |= ~Q(factor=EmissionFactor.objects.active())
    if takes_pue:
        found |= ~Q(pue=Pue.objects.active().value) & Q(pue_included=False)
    return Run.objects.filter(found)


def _of_changed_power():
    """Return devices that were estimated with older formulas, or with an older revision of their profile."""
    changed = ~Q(profile=None) & ~Q(profile_revision=F("profile__revision"))
    estimated = ~Q(basis__in=estimation.GIVEN) | Q(kind__in=ACCELERATORS)
    return Device.objects.filter(Q(estimation_revision__lt=estimation.REVISION) | changed, estimated)


def _of_changed_name():
    """Return devices whose name matches another profile than the one they were estimated with."""
    catalogue = HardwareProfile.objects.catalogue()
    moved = Q(pk__in=())
    identities = Device.objects.order_by().values_list(*IDENTITY, "profile_id").distinct()
    for name, kind, memory_gb, power_limit_w, profile_id in _first(NAMES_AT_ONCE, _moved(catalogue, identities)):
        moved |= Q(name=name, kind=kind, memory_gb=memory_gb, power_limit_w=power_limit_w, profile_id=profile_id)
    return Device.objects.filter(moved)


def _moved(catalogue, identities) -> Iterator[tuple]:
    for identity in identities.iterator():
        profile = catalogue.profile_for(*identity[:4])
        if profile is not None and profile.pk != identity[4]:
            yield identity


def _first(count: int, items: Iterator[tuple]) -> Iterator[tuple]:
    for _, item in zip(range(count), items, strict=False):
        yield item


def touched(runs) -> Touched:
    """Return what people see of it. Runs in the trash are recalculated too, but belong to nobody."""
    sums = runs.filter(project__team__bin_of=None).aggregate(
        runs=Count("pk"),
        teams=Count("project__team", distinct=True),
        energy_kwh=Sum("energy_kwh", default=0.0),
        emissions_kg=Sum("emissions_kg", default=0.0),
    )
    return Touched(**sums)


def rehearse(change: Callable[[], T], **takes: bool) -> tuple[T, Touched]:
    """Make a change, return which runs it affects, and roll it back."""
    with transaction.atomic():
        result = change()
        reached = touched(behind(**takes))
        transaction.set_rollback(True)
    return result, reached


def request(reason: str, user=None, **takes: bool) -> Reestimation | None:
    """Request a re-estimation of the outdated runs in the background; returns None if there are none.

    With `takes_factor` and `takes_pue` they also switch to the one in force.
    """
    if not behind(**takes).exists():
        return None
    asked = Reestimation.objects.create(reason=reason[:400], requested_by=user, **takes)
    if settings.TRACEML_REESTIMATE == "auto":
        transaction.on_commit(start)
    return asked


def start() -> None:
    """Start pending work, in the worker or in a process that ends by itself; a second process finds nothing to do."""
    if isinstance(task_backends["default"], DatabaseBackend):
        mine = DBTaskResult.objects.filter(task_path=in_the_background.module_path)
        if not mine.filter(status__in=("READY", "RUNNING")).exists():
            in_the_background.enqueue()
        return
    words = [sys.executable, str(settings.BASE_DIR / "manage.py"), "reestimate"]
    subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)


def start_if_abandoned() -> None:
    """Continue what an ended process left, if the portal starts such processes itself."""
    if settings.TRACEML_REESTIMATE == "auto" and Reestimation.objects.abandoned().exists():
        start()


@task(queue_name="long")
def in_the_background() -> int:
    """Carry out pending recalculations, in the worker. If killed, the next call continues where it stopped."""
    with few_collections():
        return work_off()


@contextmanager
def few_collections() -> Iterator[None]:
    """Collect garbage less often: with so many short-lived rows, looking for cycles took a fifth of the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def work_off(report: Callable[[Reestimation], None] = lambda asked: None) -> int:
    """Carry out everything pending that nobody else works on; returns the number of re-estimated runs."""
    count = 0
    while asked := Reestimation.objects.claim():
        count += carry_out(asked, report)
    return count


def carry_out(asked: Reestimation, report: Callable[[Reestimation], None] = lambda asked: None) -> int:
    """Re-estimate all outdated runs, some in each transaction; returns how many."""
    count, before = 0, None
    # Stops when only runs are left that a pass can't update, such as those of a row that was changed without the model.
    while (pks := _in_order(behind(asked.takes_factor, asked.takes_pue))) and pks != before:
        before = pks
        asked.begin(len(pks))
        pace, left = Pace(), pks
        while left:
            some, left = left[: pace.size], left[pace.size :]
            with pace.step():
                sums = redo(asked, some)
            asked.advance(len(some), **sums)
            asked.refresh_from_db()
            report(asked)
        count += len(pks)
    asked.finish()
    return count


def _in_order(runs) -> list[int]:
    """Order runs so that those that share rows of the daily totals are next to each other."""
    return list(runs.order_by("tracked_model_id", "started_at").values_list("pk", flat=True))


@transaction.atomic
def redo_one(run: Run, user) -> bool:
    """Re-estimate one run on request, with the factor and PUE in force; returns whether its figures changed."""
    now = timezone.now()
    # Finished from the start, so that nobody mistakes it for a pending pass over all runs.
    asked = Reestimation.objects.create(
        reason="Requested by a member",
        requested_by=user,
        takes_factor=True,
        takes_pue=True,
        finished_at=now,
        total=1,
        done=1,
    )
    sums = redo(asked, [run.pk])
    changed = asked.runrevision_set.exists()
    if changed:
        asked.advance(0, **sums)
    else:
        asked.delete()
    return changed


@transaction.atomic
def redo(asked: Reestimation | None, pks: list[int]) -> dict[str, float]:
    """Re-estimate some runs with their devices and days; returns the sums before and after.

    Their previous figures are kept for the re-estimation `asked`; it is None if totals are only rebuilt.
    """
    changes = totals.UsageChanges()
    factor, pue = EmissionFactor.objects.active(), Pue.objects.active().value
    known, runs = HardwareProfile.objects.catalogue(), _locked(pks)
    formers = [Former(run.factor_id, run.pue, *_figures(run)) for run in runs]
    writers, devices = _by_run(Writer, pks), _by_run(Device, pks)
    for run in runs:
        run.factor = factor if asked and asked.takes_factor else run.factor
        run.pue = pue if asked and asked.takes_pue and not run.pue_included else run.pue
        mine = _with_writers(devices[run.pk], writers[run.pk])
        changes.move(run, totals.estimate(run, mine, writers[run.pk], known))
    writes.update([device for run in runs for device in devices[run.pk]], DEVICE_FIELDS)
    writes.update(runs, RUN_FIELDS)
    if asked:
        _keep(asked, runs, formers)
        Correction.objects.add(changes.corrections(asked))
    changes.save()
    return _sums(runs, formers)


def _locked(pks: list[int]) -> list[Run]:
    """Return the runs, locked in a fixed order so that two passes can't deadlock."""
    projects = hold(Run.objects.filter(pk__in=pks).values_list("project_id", flat=True))
    return locked(Run.objects.filter(pk__in=pks).select_related("factor").defer("params", "environment"), projects)


def _by_run(table, pks: list[int]) -> dict[int, list]:
    """Return all rows of these runs, read at once: a query set per run took a sixth of a pass, a prefetch a tenth."""
    found: dict[int, list] = defaultdict(list)
    for row in table.objects.filter(run__in=pks).order_by("pk"):
        found[row.run_id].append(row)
    return found


def _with_writers(devices: list[Device], writers: list[Writer]) -> list[Device]:
    """Return the devices, linked to the writers in memory."""
    by_pk = {writer.pk: writer for writer in writers}
    for device in devices:
        device.writer = by_pk[device.writer_id]
    return devices


def _figures(run: Run) -> tuple[float, ...]:
    return tuple(getattr(run, name) for name in FIGURES)


def _keep(asked: Reestimation, runs: list[Run], formers: list[Former]) -> None:
    """Keep the previous figures of the runs whose figures changed."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    names = ("reestimation_id", "replaced_at", "project_id", "run_id", "factor_id", "pue", *FIGURES)
    pairs = [(run, former) for run, former in zip(runs, formers, strict=True) if _figures(run) != former[2:]]
    rows = [(asked.pk, now, run.project_id, run.pk, *former) for run, former in pairs]
    writes.insert(RunRevision, names, rows)


def _sums(runs: list[Run], formers: list[Former]) -> dict[str, float]:
    return {
        "energy_before_kwh": sum(former.energy_kwh for former in formers),
        "energy_after_kwh": sum(run.energy_kwh for run in runs),
        "emissions_before_kg": sum(former.emissions_kg for former in formers),
        "emissions_after_kg": sum(run.emissions_kg for run in runs),
    }
