"""Move runs, models and projects, with everything that belongs to them, to the team's bin and back.

A move and its entry in the audit log are one transaction. Nothing is deleted before `remove_for_good`.
"""

import uuid

from django.db import transaction
from django.db.models import F, Sum

from runs.ingest import sums
from runs.ingest.folding.fold import fold, fold_all
from runs.ingest.keeping import hold
from runs.ingest.removal import remove_project
from runs.ingest.totals import UsageChanges
from runs.models import (
    ApiToken,
    Arrival,
    AuditEntry,
    Badge,
    Batch,
    Call,
    Correction,
    DailyUsage,
    DeletedRun,
    Device,
    Metric,
    MonthlyUsage,
    Project,
    Run,
    RunCurve,
    RunRevision,
    RunUsage,
    ShareLink,
    Stage,
    TaggedUsage,
    Team,
    TrackedModel,
    Trashed,
    Writer,
)
from runs.models.audit import Action
from runs.slugs import create_with_slug, free_slug
from runs.sql.locks import keep_from_uploads
from runs.sql.within_project import move

#: What the page says after a deletion.
WAY_BACK = "You can restore it from the trash of the team’s settings for 30 days."
#: Tables that refer to a run by `run`, and move with it.
OF_A_RUN = (Writer, Device, Stage, Call, Metric, Batch, Arrival, RunCurve, RunRevision, ShareLink)
#: Tables that refer to a model by `tracked_model`; its rows of daily totals move unchanged.
OF_A_MODEL = (DailyUsage, MonthlyUsage, TaggedUsage, Correction, ShareLink, Badge)
DELETED = {
    Trashed.Kind.RUN: Action.RUN_DELETED,
    Trashed.Kind.MODEL: Action.MODEL_DELETED,
    Trashed.Kind.PROJECT: Action.PROJECT_DELETED,
}
RESTORED = {
    Trashed.Kind.RUN: Action.RUN_RESTORED,
    Trashed.Kind.MODEL: Action.MODEL_RESTORED,
    Trashed.Kind.PROJECT: Action.PROJECT_RESTORED,
}
REMOVED = {
    Trashed.Kind.RUN: Action.RUN_REMOVED,
    Trashed.Kind.MODEL: Action.MODEL_REMOVED,
    Trashed.Kind.PROJECT: Action.PROJECT_REMOVED,
}
#: Runs whose rows one statement moves: PostgreSQL cancels statements after 5 s.
SLICE = 500


class RestoreProjectFirst(Exception):
    """The project of the run or model is in the trash too."""


def trash_run(run: Run, request=None) -> None:
    """Remove a run from all lists and totals; late uploads are refused. Does nothing if it is already gone."""
    with transaction.atomic():
        hold([run.project_id])
        found = Run.objects.select_for_update(of=["self"]).filter(pk=run.pk, project_id=run.project_id)
        locked = found.select_related("project__team", "tracked_model").first()
        if locked is None or locked.project.team.bin_of_id:
            return
        project, model = locked.project, locked.tracked_model
        fold([locked.pk])
        locked.refresh_from_db()
        item = _item(project, Trashed.Kind.RUN, locked.name or model.name, str(locked.run_id), request)
        item.energy_kwh, item.emissions_kg = locked.energy_kwh, locked.emissions_kg
        with sums.remainders(item, [locked]):
            _move_run(locked, item.project, TrackedModel.named(item.project, model.name))
        item.save()
        DeletedRun.objects.get_or_create(project=project, run_id=locked.run_id)
        _note(request, item, DELETED)


def trash_model(model: TrackedModel, request=None) -> None:
    """Do the same with a model and all of its runs."""
    with transaction.atomic():
        hold([model.project_id])
        found = TrackedModel.objects.select_for_update(of=["self"]).filter(pk=model.pk, project_id=model.project_id)
        locked = found.select_related("project__team").first()
        if locked is None or locked.project.team.bin_of_id:
            return
        project = locked.project
        runs = Run.objects.filter(tracked_model=locked)
        item = _item(project, Trashed.Kind.MODEL, locked.name, locked.slug, request)
        ids = list(runs.order_by("pk").select_for_update().values_list("run_id", flat=True))
        fold(Arrival.objects.filter(run__tracked_model=locked).values_list("run_id", flat=True))
        _count(item, runs)
        with sums.remainders(item, model=locked):
            _move_model(locked, project, item.project)
        item.save()
        tombstones = [DeletedRun(project=project, run_id=run_id) for run_id in ids]
        DeletedRun.objects.bulk_create(tombstones, ignore_conflicts=True, batch_size=SLICE)
        _note(request, item, DELETED)


def trash_project(project: Project, request=None) -> None:
    """Do the same with a project: it keeps its runs, models, tokens and share links, but nobody can reach it."""
    with transaction.atomic():
        keep_from_uploads(Project, project.pk)
        locked = Project.objects.select_for_update(of=["self"]).select_related("team").filter(pk=project.pk).first()
        if locked is None or locked.team.bin_of_id:
            return
        item = Trashed(team=locked.team, kind=Trashed.Kind.PROJECT, name=locked.name, address=locked.slug)
        item.project, item.trashed_by = locked, _person(request)
        fold_all(locked.pk)
        _count(item, Run.objects.filter(project=locked))
        # Names are unique in a team, and the bin may already have one like this. The slug stays taken.
        locked.team, locked.name = bin_of(locked.team), uuid.uuid4().hex
        locked.save(update_fields=["team", "name"])
        item.save()
        _note(request, item, DELETED)


def restore(item: Trashed, request=None) -> None:
    """Restore an item with its totals, brought up to date. Raises RestoreProjectFirst."""
    with transaction.atomic():
        if item.from_project:
            _restore_into(item, item.from_project)
        else:
            _restore_project(item)
        _note(request, item, RESTORED)
        item.delete()
        if item.from_project:
            Project.objects.filter(pk=item.project_id).delete()  # now empty


def remove_for_good(item: Trashed, request=None) -> None:
    """Delete an item for good; its amounts, and who had tokens for a project, stay in the audit log."""
    with transaction.atomic():
        if not Trashed.objects.select_for_update().filter(pk=item.pk).exists():
            return
        _note(request, item, REMOVED)
        for token in ApiToken.objects.filter(project=item.project).select_related("created_by").order_by("pk"):
            AuditEntry.note(request, item.team, Action.TOKEN_REMOVED, token.history)
        remove_project(item.project)


def bin_of(team: Team) -> Team:
    """Return the team without members that holds what this team deleted."""
    name = f"Trash of {team.name}"[:200]
    while not (found := Team.objects.filter(bin_of=team).first()):
        slug = free_slug(name, Team.objects.all(), "trash")
        # A conflict means that another deletion was faster, or that the slug was taken: look again.
        Team.objects.bulk_create([Team(name=name, slug=slug, bin_of=team)], ignore_conflicts=True)
    return found


def _item(project: Project, kind: str, name: str, address: str, request) -> Trashed:
    """Return a new trash item with a project to hold it; the caller fills and saves it."""
    holder = create_with_slug(Project.objects, uuid.uuid4().hex, "trash", team=bin_of(project.team))
    item = Trashed(team=project.team, kind=kind, name=name, address=address, project=holder, from_project=project)
    item.trashed_by = _person(request)
    return item


def _person(request):
    user = getattr(request, "user", None)
    return user if user and user.is_authenticated else None


def _count(item: Trashed, runs) -> None:
    own = {"energy_kwh": F("energy_kwh") - F("shared_kwh"), "emissions_kg": F("emissions_kg") - F("shared_kg")}
    added = runs.aggregate(**{name: Sum(amount, default=0.0) for name, amount in own.items()})
    item.runs, item.energy_kwh, item.emissions_kg = runs.count(), added["energy_kwh"], added["emissions_kg"]


def _note(request, item: Trashed, actions: dict) -> None:
    AuditEntry.note(request, item.team, actions[item.kind], item.told)


def _move_run(run: Run, project: Project, model: TrackedModel) -> None:
    """Move a locked run, and what it added to the daily totals, to another project and model."""
    changes, usage = UsageChanges(), {tuple(key): amounts for key, amounts in run.usage}
    changes.move(run, {})
    for table in OF_A_RUN:
        move(table.objects.filter(run=run.pk), run.project_id, project.pk)
    move(Run.objects.filter(pk=run.pk), run.project_id, project.pk)
    run.project, run.tracked_model = project, model
    changes.move(run, usage)
    run.save(update_fields=["tracked_model", "usage"])
    changes.save()


def _move_model(model: TrackedModel, before: Project, after: Project) -> None:
    """Move a locked model with its locked runs to another project; its rows of daily totals stay unchanged."""
    sums.move_days(model, before, after)
    for table in OF_A_MODEL:
        move(table.objects.filter(tracked_model=model.pk), before.pk, after.pk)
    pks = list(Run.objects.filter(tracked_model=model).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(pks), SLICE):
        some = pks[start : start + SLICE]
        for part in (*OF_A_RUN, RunUsage):
            move(part.objects.filter(run__in=some), before.pk, after.pk)
        move(Run.objects.filter(pk__in=some), before.pk, after.pk)
    model.save(update_fields=["name", "slug"])
    move(TrackedModel.objects.filter(pk=model.pk), before.pk, after.pk)
    model.project = after


def _restore_project(item: Trashed) -> None:
    keep_from_uploads(Project, item.project_id)
    project = Project.objects.select_for_update().get(pk=item.project_id)
    project.team, project.name = item.team, _free_name(item.name, item.team.project_set)
    project.save(update_fields=["team", "name"])


def _restore_into(item: Trashed, project: Project) -> None:
    hold([project.pk, item.project_id])
    if Project.objects.filter(pk=project.pk, team__bin_of__isnull=False).exists():
        raise RestoreProjectFirst
    runs = Run.objects.select_for_update(of=["self"]).filter(project=item.project_id).order_by("pk")
    DeletedRun.objects.filter(project=project, run_id__in=list(runs.values_list("run_id", flat=True))).delete()
    if item.kind == Trashed.Kind.RUN:
        for run in runs.select_related("tracked_model"):
            _move_run(run, project, TrackedModel.named(project, run.tracked_model.name))
    else:
        model = TrackedModel.objects.select_for_update().get(project=item.project_id)
        model.name = _free_name(model.name, project.trackedmodel_set)
        if project.trackedmodel_set.filter(slug=model.slug).exists():
            model.slug = free_slug(model.name, project.trackedmodel_set.all(), "model")
        _move_model(model, item.project, project)
    sums.give_back(item.remainders)


def _free_name(name: str, taken) -> str:
    """Return the name, or if it is taken by now, one that says where it comes from."""
    used, number, found = set(taken.values_list("name", flat=True)), 1, name
    while found in used:
        found = f"{name[:180]} (restored{'' if number == 1 else f' {number}'})"
        number += 1
    return found
