"""Promise PS31: what is deleted leaves nothing behind: no rows of its own, and nothing in the daily totals."""

from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db.models import Sum
from django.urls import reverse

from runs.ingest.removal import remove_project, remove_run, remove_team
from runs.models import AuditEntry, Badge, Batch, DailyUsage, Device, Run, ShareLink, Team
from tests.wire import A100, batch, sample

METERED = A100 | {"basis": "counter"}


def total() -> dict:
    return DailyUsage.objects.aggregate(runs=Sum("runs", default=0), energy_kwh=Sum("energy_kwh", default=0.0))


def metered(wire, kwh: float) -> Run:
    return Run.objects.get(run_id=wire.whole_run([sample("gpu-0", 3600, 0, kwh * 3.6e6)], [METERED]))


def test_a_run_that_staff_delete_takes_its_share_of_the_totals_with_it(wire, admin_client):
    kept, deleted = metered(wire, 1.0), metered(wire, 2.0)
    assert total() == {"runs": 2, "energy_kwh": 3.0}
    admin_client.post(reverse("admin:runs_run_delete", args=[deleted.pk]), {"post": "yes"})
    assert total() == {"runs": 1, "energy_kwh": 1.0}
    assert {Run.objects.get(), Device.objects.get().run, Batch.objects.get().run} == {kept}


def test_runs_that_staff_delete_together_do_so_too(wire, admin_client):
    runs = [metered(wire, 1.0), metered(wire, 2.0)]
    chosen = {"action": "delete_selected", "_selected_action": [run.pk for run in runs], "post": "yes"}
    admin_client.post(reverse("admin:runs_run_changelist"), chosen)
    assert total() == {"runs": 0, "energy_kwh": 0.0}
    assert not Run.objects.exists()


def left_of(project_id: int) -> dict[str, int]:
    """Rows of any table that still belong to the project, by table."""
    tables = [model for model in apps.get_models() if any(f.name == "project" for f in model._meta.fields)]
    counts = {model.__name__: model._default_manager.filter(project=project_id).count() for model in tables}
    return {name: count for name, count in counts.items() if count}


def fill(wire, people) -> None:
    """A row in every table that belongs to a project."""
    body = batch(
        [sample("gpu-0", 60, 30)],
        [A100],
        stages=[{"id": "1", "name": "epoch", "start_s": 0, "end_s": 10}],
        calls=[{"method": "predict", "calls": 1, "items": 1, "busy_s": 1}],
    )
    kept = wire.start()
    wire.send(kept, "b-1", body)
    run = Run.objects.get(run_id=kept)
    ShareLink.make(run, 7, False, people.alice)
    Badge.make(run.tracked_model, "emissions", people.alice)
    remove_run(metered(wire, 1.0))


DELETIONS = {
    "project": remove_project,
    "team": lambda project: remove_team(project.team),
    "project by cascade": lambda project: project.delete(),
    "team by cascade": lambda project: project.team.delete(),
}


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS.keys())
def test_a_deleted_project_or_team_leaves_nothing_behind(wire, people, delete):
    fill(wire, people)
    project = people.project
    before = left_of(project.pk)
    assert len(before) >= 12, before
    delete(project)
    assert left_of(project.pk) == {}


def test_a_deleted_team_takes_its_audit_log_with_it(wire, people):
    remove_run(metered(wire, 1.0))
    assert AuditEntry.objects.count() == 1
    people.project.team.delete()
    assert not AuditEntry.objects.exists()


def test_staff_can_delete_a_team_that_has_an_audit_log(wire, people, admin_client):
    remove_run(metered(wire, 1.0))
    team = people.project.team
    admin_client.post(reverse("admin:runs_team_delete", args=[team.pk]), {"post": "yes"})
    assert not Team.objects.filter(pk=team.pk).exists()


def test_what_staff_delete_is_in_the_audit_log(wire, admin_client, admin_user):
    run = metered(wire, 1.0)
    admin_client.post(reverse("admin:runs_run_delete", args=[run.pk]), {"post": "yes"})
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.team) == (admin_user, "run deleted", run.project.team)


def test_the_totals_are_as_if_the_deleted_run_had_never_been(wire, people):
    """By way of the deletion and by way of the rebuild from the facts that are left."""
    metered(wire, 1.0)
    remove_run(metered(wire, 2.0))
    after_deletion = total()
    call_command("rebuild_usage", stdout=StringIO())
    assert after_deletion == total() == {"runs": 1, "energy_kwh": 1.0}
