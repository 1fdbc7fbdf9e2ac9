"""The trash: what is deleted counts nowhere, is found nowhere, and comes back with its totals to the last digit."""

import math
import uuid
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from runs.ingest import trash
from runs.jobs import housekeeping, reestimate
from runs.models import (
    ApiToken,
    AuditEntry,
    Badge,
    Batch,
    DailyUsage,
    DeletedRun,
    Device,
    EmissionFactor,
    MonthlyUsage,
    Project,
    ProjectUsage,
    Run,
    RunUsage,
    ShareLink,
    TaggedUsage,
    Team,
    TrackedModel,
    Trashed,
    User,
)
from runs.models.usage import AMOUNTS
from tests import people as cast
from tests.wire import A100, CPU, Wire, batch, header, sample

USAGE = (DailyUsage, MonthlyUsage, TaggedUsage, ProjectUsage, RunUsage)


def send(wire, kwh: float, **changes) -> Run:
    """A run with figures that have no end in binary."""
    devices = [A100 | {"basis": "counter"}, CPU]
    samples = [sample("gpu-0", 3600, 1234.5, kwh * 3.6e6), sample("cpu-0", 3600, 777.7)]
    return Run.objects.get(run_id=wire.whole_run(samples, devices, **changes))


@pytest.fixture
def runs(wire, catalogue) -> list[Run]:
    """Seven runs of two models that share days, hardware and tags."""
    made = []
    for number in range(7):
        model = "resnet-50" if number % 3 else "bert"
        tags = ["a", "b"] if number % 2 else ["a"]
        made.append(send(wire, 0.1 + number / 7, model=model, tags=tags, name=f"r{number}"))
    return made


def totals(project) -> list:
    """Every row of every daily total of a project, in full, by what people would call it."""
    rows = []
    for table in USAGE:
        names = {"tracked_model_id": "tracked_model__name", "run_id": "run__run_id"}
        keys = [names.get(key, key) for key in table.KEY]
        rows += [(table.__name__, *row) for row in table.objects.filter(project=project).values_list(*keys, *AMOUNTS)]
    return sorted(rows, key=repr)


def item() -> Trashed:
    return Trashed.objects.select_related("team", "project", "from_project").get()


def rebuilt_agrees() -> None:
    """The daily totals, of the trash as well, are what the stored counters add up to; else this fails."""
    call_command("check_totals")


# A run


def test_a_run_in_the_trash_is_in_no_total_and_comes_back_to_the_last_digit(runs, people):
    before = totals(people.project)
    for run in runs:
        trash.trash_run(run)
        assert str(run.run_id) not in str(totals(people.project))
        left = sum(each.energy_kwh for each in runs if each != run)
        assert math.fsum(ProjectUsage.objects.filter(project=people.project).values_list("energy_kwh", flat=True)) == (
            pytest.approx(left)
        )
        trash.restore(item())
        assert totals(people.project) == before
    assert not Trashed.objects.exists()
    assert Project.objects.count() == 2


def test_all_of_them_come_back_too_the_last_one_first(runs, people):
    before = totals(people.project)
    for run in runs:
        trash.trash_run(run)
    assert totals(people.project) == []
    rebuilt_agrees()
    for each in Trashed.objects.order_by("-pk"):
        trash.restore(each)
    assert totals(people.project) == before


def everything_of(run: Run) -> dict:
    """All rows that belong to a run, by table."""
    found = {"run": Run.objects.filter(pk=run.pk).values().get()}
    for relation in Run._meta.related_objects:
        table = relation.related_model
        if table is not RunUsage:
            found[table.__name__] = list(table.objects.filter(run=run.pk).order_by("pk").values())
    return found


def test_a_restored_run_has_all_that_it_had(runs, people):
    ShareLink.make(runs[0], 7, False, people.alice)
    before = everything_of(runs[0])
    trash.trash_run(runs[0])
    moved = everything_of(runs[0])
    assert moved.pop("run")["project_id"] == item().project_id
    assert {row["project_id"] for rows in moved.values() for row in rows} == {item().project_id}
    trash.restore(item())
    assert everything_of(runs[0]) == before


def test_nobody_who_asks_by_membership_or_token_finds_it(runs, people, client):
    links = [ShareLink.make(subject, 7, False, people.alice)[1] for subject in (runs[0], runs[0].tracked_model)]
    trash.trash_run(runs[0])
    assert not Run.objects.for_user(people.alice).filter(pk=runs[0].pk).exists()
    assert not Team.objects.for_user(people.alice).exclude(pk=people.project.team_id).exists()
    assert client.get(f"/s/{links[0]}/").status_code == 404
    assert client.get(f"/s/{links[1]}/").status_code == 200
    listed = Wire(client, cast.token(people.project)).get("runs").json()["results"]
    assert str(runs[0].run_id) not in {run["run_id"] for run in listed}
    assert len(listed) == 6
    trash.restore(item())
    assert client.get(f"/s/{links[0]}/").status_code == 200


def test_a_late_upload_is_refused_as_of_a_deleted_run_and_taken_again_once_it_is_restored(wire, catalogue, people):
    run_id = wire.start()
    run = Run.objects.get(run_id=run_id)
    trash.trash_run(run)
    late = batch([sample("gpu-0", 60, 30)])
    assert wire.send(run_id, "late", late).status_code == 410
    assert wire.put(f"runs/{run_id}", header()).status_code == 410
    assert wire.finish(run_id).status_code == 410
    trash.restore(item())
    assert wire.send(run_id, "late", late).status_code == 201
    rebuilt_agrees()


def test_deleting_twice_is_deleting_once(runs):
    trash.trash_run(runs[0])
    trash.trash_run(runs[0])
    trash.trash_run(Run.objects.get(pk=runs[0].pk))
    assert Trashed.objects.count() == AuditEntry.objects.count() == 1


def test_its_model_may_be_gone_or_made_anew_meanwhile(runs, people):
    run = runs[1]
    trash.trash_run(run)
    trash.trash_model(run.tracked_model)
    trash.restore(Trashed.objects.get(kind="run"))
    run.refresh_from_db()
    assert (run.tracked_model.name, run.project) == ("resnet-50", people.project)
    rebuilt_agrees()


def test_other_runs_come_and_go_meanwhile(runs, wire, people):
    trash.trash_run(runs[0])
    new = send(wire, 0.3, model="bert")
    trash.restore(item())
    rebuilt_agrees()
    assert Run.objects.filter(project=people.project).count() == 8
    assert new.tracked_model_id == Run.objects.get(pk=runs[0].pk).tracked_model_id


# A correction meanwhile


def test_a_run_is_brought_up_to_date_with_a_factor_that_changed_meanwhile(runs, people):
    trash.trash_run(runs[0])
    factor = EmissionFactor.objects.create(kg_per_kwh=0.9, year=2026, source="x")
    factor.put_in_force()
    reestimate.request("A new factor", takes_factor=True)
    reestimate.work_off()
    trash.restore(item())
    run = Run.objects.get(pk=runs[0].pk)
    assert run.factor == factor
    assert run.emissions_kg == pytest.approx(0.9 * run.energy_kwh)
    rebuilt_agrees()


def test_what_a_correction_reaches_leaves_out_the_trash(runs):
    trash.trash_run(runs[0])
    assert reestimate.touched(Run.objects.all()).runs == 6


# A model


def test_a_model_goes_with_its_runs_and_comes_back_to_the_last_digit(runs, people, client):
    model = runs[1].tracked_model
    badge = Badge.make(model, "emissions", people.alice)
    _, secret = ShareLink.make(model, 7, False, people.alice)
    before = totals(people.project)
    trash.trash_model(model)
    assert {row[2] for row in totals(people.project) if row[0] == "DailyUsage"} == {"bert"}
    assert not TrackedModel.objects.for_user(people.alice).filter(pk=model.pk).exists()
    assert Run.objects.for_user(people.alice).count() == 3
    assert client.get(f"/badge/{badge.key}.svg").status_code == client.get(f"/s/{secret}/").status_code == 404
    rebuilt_agrees()
    trash.restore(item())
    assert totals(people.project) == before
    assert client.get(f"/badge/{badge.key}.svg").status_code == client.get(f"/s/{secret}/").status_code == 200


def test_late_uploads_of_its_runs_are_refused(runs, wire):
    trash.trash_model(runs[1].tracked_model)
    assert wire.finish(str(runs[1].run_id)).status_code == 410
    trash.restore(item())
    assert wire.finish(str(runs[1].run_id)).status_code == 200


def test_where_the_name_is_taken_again_a_restored_model_says_that_it_is_one(runs, wire, people):
    model = runs[1].tracked_model
    trash.trash_model(model)
    send(wire, 0.5, model="resnet-50")
    trash.restore(item())
    names = people.project.trackedmodel_set.order_by("pk").values_list("name", "slug")
    assert set(names) == {("resnet-50", "resnet-50"), ("resnet-50 (restored)", "resnet-50-restored"), ("bert", "bert")}
    rebuilt_agrees()


# A project


def test_a_project_goes_with_all_and_comes_back_as_it_was(runs, people, client):
    wire = Wire(client, cast.token(people.project))
    _, secret = ShareLink.make(people.project, 7, False, people.alice)
    badge = Badge.make(people.project, "emissions", people.alice)
    before = totals(people.project)
    trash.trash_project(people.project)
    assert not Project.objects.for_user(people.alice).exists()
    assert not Run.objects.for_user(people.alice).exists()
    assert not DailyUsage.objects.for_user(people.alice).exists()
    assert wire.get("runs").status_code == wire.put(f"runs/{uuid.uuid4()}", header()).status_code == 401
    assert client.get(f"/s/{secret}/").status_code == client.get(f"/badge/{badge.key}.svg").status_code == 404
    trash.restore(item())
    people.project.refresh_from_db()
    assert (people.project.name, people.project.slug, people.project.team.slug) == ("Digits", "digits", "vision-lab")
    assert totals(people.project) == before
    assert wire.get("runs").status_code == client.get(f"/s/{secret}/").status_code == 200


def test_a_name_that_was_given_again_meanwhile_does_not_keep_it_away(people):
    trash.trash_project(people.project)
    second = Project.make(people.project.team, "Digits")
    trash.trash_project(second)
    Project.make(people.project.team, "Digits")
    for each in list(Trashed.objects.all()):
        trash.restore(each)
    names = people.project.team.project_set.order_by("pk").values_list("name", flat=True)
    assert sorted(names) == ["Digits", "Digits (restored 2)", "Digits (restored)"]


def test_what_was_thrown_away_from_it_before_waits_for_it(runs, people):
    trash.trash_run(runs[0])
    trash.trash_project(people.project)
    with pytest.raises(trash.RestoreProjectFirst):
        trash.restore(Trashed.objects.get(kind="run"))
    trash.restore(Trashed.objects.get(kind="project"))
    trash.restore(Trashed.objects.get(kind="run"))
    assert Run.objects.for_user(people.alice).count() == 7


# The end


def leave(days: float) -> None:
    Trashed.objects.update(trashed_at=timezone.now() - timedelta(days=days))


@pytest.mark.parametrize("kind", ["run", "model", "project"])
def test_after_thirty_days_it_is_gone_for_good_and_the_rest_stays(runs, people, kind):
    subject = {"run": runs[1], "model": runs[1].tracked_model, "project": people.project}[kind]
    gone = {"run": 1, "model": 4, "project": 7}[kind]
    {"run": trash.trash_run, "model": trash.trash_model, "project": trash.trash_project}[kind](subject)
    leave(29.9)
    assert housekeeping.clean("trash") == 0
    leave(30.1)
    assert housekeeping.due("trash") == housekeeping.clean("trash") == 1
    assert Run.objects.count() == 7 - gone
    assert not Trashed.objects.exists()
    assert not Project.objects.filter(team__bin_of__isnull=False).exists()
    assert not Device.objects.exclude(project__team__bin_of=None).exists()
    assert not Batch.objects.exclude(project__team__bin_of=None).exists()
    if kind != "project":
        rebuilt_agrees()


def test_a_late_upload_stays_refused_after_the_end(runs, wire):
    trash.trash_run(runs[0])
    leave(31)
    housekeeping.clean("trash")
    assert wire.finish(str(runs[0].run_id)).status_code == 410


def test_notes_of_deleted_runs_outlive_the_trash(runs, settings):
    settings.TRACEML_TOMBSTONE_DAYS = 1
    trash.trash_run(runs[0])
    DeletedRun.objects.update(deleted_at=timezone.now() - timedelta(days=5))
    assert housekeeping.clean("tombstones") == 0


def test_the_log_keeps_what_each_came_to(runs, people):
    run, model = runs[0], runs[1].tracked_model
    trash.trash_run(run)
    trash.restore(item())
    trash.trash_run(run)
    trash.trash_model(model)
    trash.remove_for_good(Trashed.objects.get(kind="run"))
    leave(31)
    housekeeping.clean("trash")
    told = list(AuditEntry.objects.order_by("pk").values_list("action", "subject"))
    assert [action for action, _ in told] == [
        "run deleted",
        "run restored",
        "run deleted",
        "model deleted",
        "run removed for good",
        "model removed for good",
    ]
    energy, emissions = f"{run.energy_kwh:.9g} kWh", f"{run.emissions_kg:.9g} kg"
    for action, subject in told:
        if action.startswith("run"):
            assert subject.startswith(f"r0 ({run.run_id})")
            assert energy in subject
            assert emissions in subject
    of_model = sum(each.energy_kwh for each in runs if each.tracked_model_id == model.pk)
    assert f"resnet-50, 4 runs: {of_model:.9g} kWh" in told[3][1]
    assert AuditEntry.objects.last().who == "the portal, after 30 days"


def test_the_log_keeps_who_had_a_project_s_tokens(people):
    token, _ = ApiToken.issue(people.project, "laptop", ["ingest"], people.bob)
    token.revoke()
    trash.trash_project(people.project)
    trash.remove_for_good(item())
    told = AuditEntry.objects.get(action="token removed").subject
    assert f"{token.prefix} (laptop) created by bob@example.org" in told
    assert f"revoked {timezone.now():%Y-%m-%d}" in told


def test_a_team_goes_with_its_trash(runs, people):
    from runs.ingest.removal import remove_team

    trash.trash_run(runs[0])
    trash.trash_project(people.project)
    remove_team(people.project.team)
    assert not Run.objects.exists()
    assert list(Team.objects.values_list("slug", flat=True)) == ["other-lab"]


def test_an_account_that_leaves_takes_its_own_team_s_trash_along(runs, people):
    from runs.accounts.departure import depart

    trash.trash_run(runs[0])
    people.bob.delete()
    depart(User.objects.get(pk=people.alice.pk))
    assert not Run.objects.exists()
    assert Team.objects.count() == 1
