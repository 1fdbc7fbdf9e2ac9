"""From facts to totals: adds what arrived to runs, and their shares to the daily totals.

An upload only stores its facts and an `Arrival`. Whoever comes next folds: the thread of the web process that took it
(`runs.jobs.folder`), another one's, or the worker. A fold takes whole arrivals in one transaction, so a kill at any
moment leaves each either marked or counted.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.db import DatabaseError, models, transaction
from django.utils import timezone

from hardware.models import HardwareProfile
from runs.ingest import series
from runs.ingest.bodies import Told
from runs.ingest.folding import about, devices, metrics, outcome, stages
from runs.ingest.keeping import hold
from runs.ingest.totals import ESTIMATED, UsageChanges, estimate
from runs.left_out import added_up, total
from runs.models import Arrival, Device, Run, RunCurve, Writer
from runs.models.device import COUNTERS, PARTS
from runs.sql import writes
from runs.sql.locks import locked
from runs.thinning import keeping
from traceml_agent.catalogue import Catalogue

#: Runs folded in one transaction, which others may have to wait for.
AT_ONCE = 16
#: Arrivals in memory at once.
IN_MEMORY = 500
#: A run whose fold failed is left alone for so long.
ASIDE_S = 60.0
_aside: dict[int, float] = {}
logger = logging.getLogger("traceml.totals")

COUNTED = (*COUNTERS, *PARTS, "counted_on", "day_ends")
OF_A_WRITER = [
    "started_at",
    "last_t_s",
    "status",
    "ended_at",
    "exception",
    "dropped_records",
    "left_out",
    "last_sha256",
]
OF_THE_RUN = tuple(field.attname for field in Run._meta.concrete_fields if not field.primary_key)


class Account:
    """A locked run with its writers and devices, while arrivals are added to it."""

    def __init__(self, run: Run, writers: list[Writer], known: list[Device]):
        self.run = run
        self.writers = {writer.pk: writer for writer in writers}
        self.devices: dict[int, dict[str, Device]] = {writer.pk: {} for writer in writers}
        for device in known:
            device.writer = self.writers[device.writer_id]
            self.devices[device.writer_id][device.key] = device
        self._before = {name: getattr(run, name) for name in OF_THE_RUN}
        self._estimates = {device.pk: _estimated(device) for device in known}
        self._counted: dict[int, Device] = {}
        self._described: dict[int, Device] = {}
        self._told: set[int] = set()
        #: What the run's curve has to know: new batches, how many samples and logged values they have, whether it ends.
        self._batches: list[int] = []
        self._values, self._ends = 0, False

    def take(self, arrival: Arrival, changes: UsageChanges) -> None:
        """Add what arrived. Nothing in it can be refused any more: that was the upload's part."""
        run, writer, told = self.run, self.writers[arrival.writer_id], arrival.told
        self._told.add(writer.pk)
        self._take_devices(writer, told, arrival)
        end, known_s = told.get("end"), writer.last_t_s
        writer.last_t_s = max(writer.last_t_s, told.get("last_t_s", 0.0))
        self._keep_what_is_new(arrival, known_s)
        stages.store_stages(run, writer, told.get("stages", []))
        stages.store_calls(run, writer, told.get("calls", []))
        if batch := arrival.batch:
            self._batches.append(batch.pk)
            self._values += batch.sample_count + len(batch.metrics)
            metrics.take_in(run, writer, batch.metrics)
        if "left_out" in told and total(told["left_out"]) >= total(writer.left_out):
            writer.left_out = added_up(told["left_out"])  # counts only grow, so the larger list is the later one
        run.overlap(told.get("overlaps", ()))
        run.last_seen_at = max(run.last_seen_at, arrival.received_at)
        run.clock_skew_s = told.get("clock_skew_s", run.clock_skew_s)
        writer.last_sha256 = told.get("sha256", writer.last_sha256)
        about.take_in(run, told.get("about"), changes)
        if end:
            self._ends = True
            outcome.end(run, writer, end)
            run.dropped_records = sum(each.dropped_records for each in self.writers.values())
        if end or (run.status != Run.Status.RUNNING and writer.status == Run.Status.RUNNING):
            outcome.settle(run, self.writers.values())

    def _take_devices(self, writer: Writer, told: Told, arrival: Arrival) -> None:
        mine = self.devices[writer.pk]
        if described := told.get("devices"):
            room = devices.MAX_RUN_DEVICES - sum(map(len, self.devices.values()))
            changed = devices.describe(self.run, writer, mine, described, room)
            self._described |= {id(device): device for device in changed}
        counters = told.get("counters", {})
        self._counted |= {id(device): device for device in devices.advance(mine, counters)}
        if beyond := counters.keys() - mine.keys():
            self.run.left_out = added_up(self.run.left_out, devices.leave_out(beyond, arrival))

    def _keep_what_is_new(self, arrival: Arrival, known_s: float) -> None:
        """Store the final counters that no batch contained, like those of one, under an id that no agent can use."""
        writer, told = self.writers[arrival.writer_id], arrival.told
        mine = self.devices[writer.pk]
        new = [row for row in told.get("samples", []) if row["t_s"] > known_s and row["device"] in mine]
        if new:
            batch_id = f"end of {writer.pk} at {writer.last_t_s!r}"
            series.store(self.run, writer, batch_id, told["sha256"], series.by_device(new), (), arrival.received_at)

    def keep_curve(self, through_id: int) -> None:
        """Have the run's curve keep up with the batches that arrived; it contains those up to this key."""
        if any(batch_id <= through_id for batch_id in self._batches):
            keeping.start_again(self.run)
        keeping.keep_up(self.run, self._values, len(self._batches), self._ends)

    def save(self, known: Catalogue, changes: UsageChanges) -> None:
        """Estimate the run and its devices anew, and save what changed."""
        mine = [device for devices_of in self.devices.values() for device in devices_of.values()]
        usage = estimate(self.run, mine, list(self.writers.values()), known)
        for device in mine:
            if device.pk not in self._estimates:
                continue
            names = ESTIMATED if _estimated(device) != self._estimates[device.pk] else ()
            names += COUNTED if id(device) in self._counted else ()
            names += devices.DESCRIPTION if id(device) in self._described else ()
            writes.update([device], names)
        Device.objects.bulk_create([device for device in mine if not device.pk])
        writes.update([self.writers[pk] for pk in self._told], OF_A_WRITER)
        changes.move(self.run, usage)
        run, before = self.run, self._before
        writes.update([run], [name for name in OF_THE_RUN if getattr(run, name) != before[name]])


def _estimated(device: Device) -> tuple:
    return tuple(getattr(device, name) for name in ESTIMATED)


def fold_waiting(left_s: float = 0.0) -> bool:
    """Fold what arrived for some runs, at least `left_s` ago; returns whether such waits still, or somebody else is
    folding it."""
    some = _waiting(left_s)[:AT_ONCE]
    fold_free(some)
    return bool(some) and bool(_waiting(left_s))


def _waiting(left_s: float) -> list[int]:
    """Return runs with arrivals, at most as many as are folded at once."""
    arrived = Arrival.objects.exclude(run__in=_set_aside()) if _aside else Arrival.objects.all()
    if left_s:
        arrived = arrived.filter(received_at__lt=timezone.now() - timedelta(seconds=left_s))
    return list(arrived.order_by("run_id").values_list("run_id", flat=True).distinct()[:AT_ONCE])


def _set_aside() -> list[int]:
    return [pk for pk, until in _aside.items() if until > time.monotonic()]


def fold_free(pks: Iterable[int]) -> set[int]:
    """Fold what arrived for these runs, at most AT_ONCE; returns those that somebody else had locked, or deleted.

    A run whose fold fails holds up nobody else's: it is logged, and tried again later.
    """
    some = set(pks).difference(_set_aside())
    try:
        return some.difference(fold(some, skip_locked=True))
    except DatabaseError:
        raise  # busy or gone: not the run's fault
    except Exception:  # noqa: BLE001 (whatever it is, it must not hold up the others)
        for pk in some:
            _fold_alone(pk)
        return set()


def _fold_alone(pk: int) -> None:
    try:
        fold([pk], skip_locked=True)
    except Exception:
        logger.exception("The totals can't be updated with what run %s reported", pk)
        _aside[pk] = time.monotonic() + ASIDE_S


def fold_all(project_id: int) -> None:
    """Fold whatever arrived in a project."""
    waiting = Arrival.objects.filter(project=project_id).order_by("run_id").values_list("run_id", flat=True)
    while some := list(waiting.distinct()[:AT_ONCE]):
        fold(some)


def fold(pks: Collection[int], skip_locked: bool = False) -> dict[int, Run]:
    """Add to these runs what arrived, and to the daily totals; returns the runs by key, without those left out.

    With `skip_locked`, runs that somebody else is folding are left out.
    """
    changes = UsageChanges()
    with transaction.atomic():
        held = hold(Run.objects.filter(pk__in=pks).values_list("project_id", flat=True))
        found = Run.objects.filter(pk__in=pks, project__in=held).select_related("factor", "tracked_model", "project")
        runs = {run.pk: run for run in locked(found, held, no_key=True, skip_locked=skip_locked)}
        arrived = Arrival.objects.filter(run__in=list(runs.values())).select_related("batch").order_by("pk")
        arrived = arrived.defer("batch__series")  # only the curve reads samples, and those of many batches together
        folded = _add(runs, arrived, changes)
        Arrival.objects.filter(pk__in=folded, project__in=held).delete()
    return runs


def _add(runs: dict[int, Run], arrived: models.QuerySet[Arrival], changes: UsageChanges) -> list[int]:
    """Add what arrived to these runs and save them; returns the keys of the arrivals."""
    of_these = list(runs.values())
    writers, known = _by_run(Writer, of_these), _by_run(Device, of_these)
    accounts: dict[int, Account] = {}
    folded = []
    for arrival in arrived.iterator(IN_MEMORY):
        pk = arrival.run_id
        if pk not in accounts:
            accounts[pk] = Account(runs[pk], writers[pk], known[pk])
        if arrival.writer_id in accounts[pk].writers:  # else it is newer than what was read: next time
            accounts[pk].take(arrival, changes)
            folded.append(arrival.pk)
    if folded:
        catalogue = HardwareProfile.objects.catalogue()
        changed = [runs[pk] for pk in accounts]
        through = dict(RunCurve.objects.filter(run__in=changed).values_list("run_id", "through_id"))
        for pk, account in accounts.items():
            account.keep_curve(through.get(pk, 0))
            account.save(catalogue, changes)
        changes.save()
    return folded


def _by_run(table: type[Writer] | type[Device], runs: list[Run]) -> dict[int, list]:
    found: dict[int, list] = defaultdict(list)
    for row in table.objects.filter(run__in=runs).order_by("pk"):
        found[row.run_id].append(row)
    return found
