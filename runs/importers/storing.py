"""Store the runs of a file, some in each transaction, and take them back again.

One transaction of 100,000 runs would keep every upload waiting for half a minute. So each step adds some runs with
their totals; if the file can't be stored to its end, all steps are taken back.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db import transaction

from runs.importers.building import Builder, Built, run_id_of
from runs.importers.found import Found, FoundRun, LeftAside
from runs.importers.rule import ModelRule, Owners, Rule
from runs.ingest import sums
from runs.ingest.keeping import hold, model_named, upload_of
from runs.ingest.totals import UsageChanges
from runs.models import (
    Batch,
    Call,
    DeletedRun,
    Device,
    Import,
    ImportStep,
    Metric,
    Run,
    RunRevision,
    RunUsage,
    ShareLink,
    Stage,
    TrackedModel,
    Writer,
)
from runs.sql import writes

#: What belongs to a run and is replaced when it has gone on, each after what refers to it.
OF_A_RUN = (Batch, Call, Metric, Stage, Device, Writer)
#: Runs of one transaction, which takes a few tenths of a second, and the pause in which others get their turn.
RUNS_AT_ONCE, PAUSE_S = 500, 0.02
NO_RULE, NO_ENERGY = "no line of the rule matches its name", "the file has neither its energy nor its hardware"
UPLOADED = "its own client has uploaded it already"
#: A client that uploads tells its start to the second.
SAME_START_S = 5.0
#: What a run's share of the totals depends on.
MOVED = ("project_id", "tracked_model_id", "kind", "member_id", "tags", "usage")
#: A run has gone on if it is longer by more than its file's rounding.
LONGER_S = 0.5


@dataclass(slots=True)
class Wanted:
    """A run that the user's rule takes, with its model, kind and member."""

    found: FoundRun
    run_id: UUID
    model: str
    kind: str
    member_id: int


@dataclass(slots=True)
class Known:
    """What the project knows about the runs of a chunk: pk and duration by run id, and ids of deleted ones."""

    runs: dict
    deleted: set

    @classmethod
    def of(cls, asked: Import, wanted: list[Wanted]) -> "Known":
        ids = [each.run_id for each in wanted]
        rows = Run.objects.filter(project=asked.project_id, run_id__in=ids)
        runs = {run_id: row for run_id, *row in rows.values_list("run_id", "pk", "duration_s", "imported_id")}
        deleted = DeletedRun.objects.filter(project=asked.project_id, run_id__in=ids)
        return cls(runs, set(deleted.values_list("run_id", flat=True)) - runs.keys())

    def is_longer(self, wanted: Wanted) -> bool:
        return wanted.found.duration_s > self.runs[wanted.run_id][1] + LONGER_S


class Taking:
    """Decides which runs of a file are taken; the same in the preview and when they are stored."""

    def __init__(self, asked: Import, rule: Rule):
        self._import, self._models = asked, ModelRule(rule)
        self._members = Owners(asked.project, rule, asked.runs_are_of)
        uploaded = Run.objects.filter(project=asked.project_id, source=asked.format, imported=None)
        self._uploaded = list(uploaded.values_list("run_id", "tracked_model__name", "started_at"))

    def _is_uploaded(self, found: FoundRun, model: str) -> bool:
        """Whether the tool's own client has sent this run too: by its id, else by its model and start."""
        return any(
            found.key == str(run_id)
            or (model == name and abs((found.started_at - started_at).total_seconds()) < SAME_START_S)
            for run_id, name, started_at in self._uploaded
        )

    @property
    def unknown_users(self) -> dict[str, int]:
        return self._members.unknown

    def __call__(self, found: FoundRun) -> Wanted | LeftAside:
        """The run as it is wanted, or why it is not."""
        if not found.devices:
            return LeftAside(NO_ENERGY)
        if decided := self._models(found.named):
            if self._is_uploaded(found, found.named) or self._is_uploaded(found, decided[0]):
                return LeftAside(UPLOADED)
            return Wanted(found, run_id_of(self._import, found.key), *decided, self._members(found.user))
        return LeftAside(NO_RULE)

    def of(self, reading: Iterable[Found]) -> Iterator[Wanted]:
        decided = (self(each) for each in reading if isinstance(each, FoundRun))
        return (each for each in decided if isinstance(each, Wanted))


def chunks(items: Iterable, size: int) -> Iterator[list]:
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


def store(asked: Import, rule: Rule, reading: Iterable[Found], hear: Callable[[int], None]) -> None:
    """Store all runs that are new, and update those that have gone on. `hear` gets the runs of the file done so far."""
    storing, done = Storing(asked), 0
    for wanted in chunks(Taking(asked, rule).of(reading), RUNS_AT_ONCE):
        storing.step(wanted)
        done += len(wanted)
        hear(done)
        time.sleep(PAUSE_S)
    storing.finish()


class Storing:
    """The steps of storing one import."""

    def __init__(self, asked: Import):
        self._import, self._builder = asked, Builder(asked)
        self._models: dict[str, TrackedModel] = {}

    def step(self, wanted: list[Wanted]) -> None:
        """Store some runs in one transaction."""
        models = {each.model for each in wanted}
        with upload_of(self._import.project):
            if not hold([self._import.project_id]):
                raise Import.DoesNotExist
            self._name(models)
            known, new, grown = Known.of(self._import, wanted), [], []
            for each in wanted:
                run_id = each.run_id
                if run_id in known.deleted:
                    continue
                if run_id not in known.runs:
                    new.append(
                        self._builder.build(each.found, run_id, self._models[each.model], each.kind, each.member_id)
                    )
                    known.runs[run_id] = (None, each.found.duration_s, self._import.pk)
                elif known.runs[run_id][0] and known.is_longer(each):
                    grown.append((known.runs[run_id][0], each))
            self._add(new)
            self._update(grown)

    def _name(self, names: set[str]) -> None:
        """Get the models, and keep them from the trash until the commit."""
        for name in sorted(names - self._models.keys()):
            self._models[name] = model_named(self._import.project, name)
        pks = {self._models[name].pk: name for name in names}
        project_id = self._import.project_id
        here = TrackedModel.objects.filter(pk__in=hold(pks, TrackedModel, project_id), project=project_id)
        for pk in pks.keys() - set(here.values_list("pk", flat=True)):
            self._models[pks[pk]] = model_named(self._import.project, pks[pk])

    def _add(self, new: list[Built]) -> None:
        if not new:
            return
        for built, pk in zip(new, writes.new_ids(Run, len(new)), strict=True):
            built.run.pk = pk
        writes.insert_all([built.run for built in new])
        _store_parts(new)
        changes = UsageChanges()
        remainders: dict[str, list] = {}
        for built in new:
            changes.add_new(built.run)
        with sums.future_remainders(changes.by_table(), remainders):
            changes.save()
        ends = {"first_run": new[0].run.pk, "last_run": new[-1].run.pk}
        ImportStep.objects.create(project_id=self._import.project_id, of=self._import, remainders=remainders, **ends)

    def _update(self, grown: list[tuple[int, Wanted]]) -> None:
        """Replace what belongs to runs that have gone on; notes and the import that added them stay."""
        if not grown:
            return
        by_pk = dict(grown)
        changes, built = UsageChanges(), []
        stored = Run.objects.filter(pk__in=by_pk, project=self._import.project_id).select_related("factor")
        for run in stored.select_for_update(of=("self",)):
            wanted, before = by_pk[run.pk], run.usage
            changes.rehome(run, self._models[wanted.model], wanted.kind)
            changes.retag(run, wanted.found.tags)
            filled = self._builder.fill(run, wanted.found, self._models[wanted.model], wanted.kind)
            usage, run.usage = {tuple(key): amounts for key, amounts in run.usage}, before
            changes.move(run, usage)
            built.append(filled)
        for table in OF_A_RUN:
            table.objects.filter(run__in=by_pk).delete()
        for each in built:
            each.run.save()
        _store_parts(built)
        changes.save()
        Import.objects.filter(pk=self._import.pk).update(runs_updated=self._import.runs_updated + len(built))
        self._import.runs_updated += len(built)

    def finish(self) -> None:
        self._import.runs_added = Run.objects.filter(project=self._import.project_id, imported=self._import).count()
        self._import.save(update_fields=["runs_added"])


def _store_parts(built: list[Built]) -> None:
    for each, pk in zip(built, writes.new_ids(Writer, len(built)), strict=True):
        each.writer.pk = pk
        each.writer.run_id = each.run.pk
        for row in each.rows:
            row.run_id = each.run.pk
            if not isinstance(row, Metric):
                row.writer_id = pk
    writes.insert_all([each.writer for each in built])
    for table in (Device, Stage, Metric, Batch):
        writes.insert_all([row for each in built for row in each.rows if isinstance(row, table)])


def take_back(asked: Import, hear: Callable[[float], None] = lambda share: None) -> int:
    """Delete exactly the runs that this import added, without tombstones; returns how many. Totals are as before."""
    steps = list(ImportStep.objects.filter(of=asked).order_by("-pk"))
    count = 0
    for number, step in enumerate(steps, start=1):
        with upload_of(asked.project):
            count += _take_back(asked, step)
        hear(number / len(steps))
    return count


def _take_back(asked: Import, step: ImportStep) -> int:
    hold([asked.project_id])
    if not ImportStep.objects.filter(pk=step.pk).exists():
        return 0
    mine = Run.objects.filter(project=asked.project_id, imported=asked)
    mine = mine.filter(pk__gte=step.first_run, pk__lte=step.last_run).order_by("pk")
    runs = list(mine.select_for_update(of=("self",)).only(*MOVED))
    changes = UsageChanges()
    for run in runs:
        changes.move(run, {})
    changes.save()
    pks = [run.pk for run in runs]
    for table in (RunUsage, ShareLink, RunRevision, *OF_A_RUN):
        table.objects.filter(run__in=pks).delete()
    Run.objects.filter(pk__in=pks).delete()
    sums.give_back(step.remainders)
    step.delete()
    return len(runs)


@transaction.atomic
def remove_empty_models(asked: Import) -> None:
    """Delete models that the import made and nobody has used or written notes on since."""
    made = TrackedModel.objects.filter(project=asked.project_id, created_at__gte=asked.created_at, notes="")
    made.filter(run=None, sharelink=None, badge=None).delete()
