"""Promises of every import: what the preview showed, once, exactly undone, and totals that a rebuild confirms."""

import uuid

import pytest
from django.core.management import call_command
from django.db.models import Sum

from runs.importers import storing, work
from runs.ingest.trash import trash_run
from runs.models import DailyUsage, DeletedRun, Import, ProjectUsage, Run, RunUsage, TaggedUsage, TrackedModel
from tests import people as cast
from tests.wire import Wire, sample

pytestmark = pytest.mark.django_db

HEADER = "timestamp,project_name,run_id,duration,emissions,energy_consumed,codecarbon_version\n"
RUN_ID = "3c88536e-5cbe-403f-93fa-9a136550200{}"


def file(*rows: tuple[int, float, float]) -> bytes:
    """A CodeCarbon file of runs: the last digit of their id, duration in s, kWh."""
    lines = (f"2026-05-01T12:00:00,digits,{RUN_ID.format(n)},{s},0.1,{kwh},2.3.5\n" for n, s, kwh in rows)
    return (HEADER + "".join(lines)).encode()


def totals() -> dict:
    """Every row of the daily totals, exactly."""
    tables = (DailyUsage, TaggedUsage, ProjectUsage, RunUsage)
    return {table: list(table.objects.order_by(*table.KEY).values(*table.KEY, *table.ADDED)) for table in tables}


def slurm(jobs: int) -> bytes:
    lines = ["JobID|JobName|User|State|Start|Elapsed|AllocTRES|TotalCPU"]
    for n in range(jobs):
        gpus = f"gres/gpu:a100={n % 3},gres/gpu={n % 3}," if n % 3 else ""
        tres = f"billing=8,cpu={n % 7 + 1},{gpus}mem={n % 50 + 1}G,node=1"
        state = ["COMPLETED", "FAILED", "CANCELLED by 7", "TIMEOUT"][n % 4]
        start = f"2026-0{n % 3 + 1}-{n % 27 + 1:02}T{n % 24:02}:00:00"
        lines.append(f"{n}|m{n % 5}|alice|{state}|{start}|{n % 2}-{n % 24:02}:10:07|{tres}|0{n % 9}:00:01")
    return "\n".join(lines).encode()


def test_the_preview_stores_nothing(begun):
    asked = begun(file((1, 60, 0.1)))
    assert (asked.state, asked.preview["new"], Run.objects.count(), TrackedModel.objects.count()) == (
        "checked",
        1,
        0,
        0,
    )


def test_what_is_imported_is_what_the_preview_showed(imported):
    asked = imported(slurm(300), models="m1 = -\nm* = model {1}")
    sums = Run.objects.aggregate(Sum("energy_kwh"), Sum("energy_low_kwh"), Sum("energy_high_kwh"), Sum("emissions_kg"))
    for name in ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg"):
        assert sums[f"{name}__sum"] == pytest.approx(asked.preview[name], rel=1e-9)
    assert asked.runs_added == asked.preview["new"] == Run.objects.count() == 240
    assert {each["name"]: each["runs"] for each in asked.preview["models"]} == {
        model.name: model.run_set.count() for model in TrackedModel.objects.all()
    }


def test_daily_totals_are_what_a_rebuild_gives(imported, people, client):
    Wire(client, cast.token(people.project)).whole_run([sample("gpu-0", 3600, 1800)], tags=["x"])
    imported(slurm(700))
    imported(file((1, 60, 0.1)))
    before = totals()
    call_command("rebuild_usage", verbosity=0)
    for table, rows in totals().items():
        assert len(rows) == len(before[table])
        for now, then in zip(rows, before[table], strict=True):
            assert [now[name] for name in table.KEY] == [then[name] for name in table.KEY]
            assert [now[name] for name in table.ADDED] == pytest.approx([then[name] for name in table.ADDED], rel=1e-9)


def test_undo_removes_exactly_the_imports_runs_and_totals_are_as_before_to_the_last_digit(imported, people, client):
    Wire(client, cast.token(people.project)).whole_run([sample("gpu-0", 3600, 1800)], model="m1", tags=["x"])
    other = imported(file((1, 60.7, 0.1003), (2, 71.1, 0.3017)))
    before, runs = totals(), set(Run.objects.values_list("pk", flat=True))
    asked = imported(slurm(1300) + b"\n9999|m1|alice|COMPLETED|2026-05-01T11:00:00|00:20:07|cpu=3,mem=7G|00:10:01\n")
    assert Run.objects.count() == len(runs) + 1301
    work.undo(asked)
    work.work_off()
    asked.refresh_from_db()
    other.refresh_from_db()
    assert (asked.state, other.state) == ("undone", "done")
    assert set(Run.objects.values_list("pk", flat=True)) == runs
    assert totals() == before


def test_after_an_undo_the_file_can_be_imported_again(imported):
    asked = imported(file((1, 60, 0.1)))
    work.undo(asked)
    assert (Run.objects.count(), TrackedModel.objects.count(), DeletedRun.objects.count()) == (0, 0, 0)
    assert imported(file((1, 60, 0.1))).runs_added == 1


def test_the_same_file_again_adds_nothing(imported, begun):
    imported(file((1, 60, 0.1), (2, 60, 0.2)))
    again = begun(file((1, 60, 0.1), (2, 60, 0.2)))
    assert (again.preview["new"], again.preview["known"]) == (0, 2)
    work.confirm(again)
    again.refresh_from_db()
    assert (again.runs_added, Run.objects.count()) == (0, 2)


def test_a_longer_file_adds_what_is_new_and_updates_what_has_gone_on(imported):
    first = imported(file((1, 60, 0.1), (2, 60, 0.2)))
    run = Run.objects.order_by("energy_kwh").first()
    Run.objects.filter(pk=run.pk).update(notes="mine")
    again = imported(file((1, 60, 0.1), (1, 120, 0.25), (2, 60, 0.2), (3, 60, 0.4)))
    assert (again.runs_added, again.runs_updated, again.runs_known) == (1, 1, 1)
    run.refresh_from_db()
    assert (run.energy_kwh, run.notes, run.imported) == (pytest.approx(0.25), "mine", first)
    assert DailyUsage.objects.aggregate(Sum("energy_kwh"))["energy_kwh__sum"] == pytest.approx(0.25 + 0.2 + 0.4)
    assert RunUsage.objects.filter(run=run).aggregate(Sum("energy_kwh"))["energy_kwh__sum"] == pytest.approx(0.25)


def test_a_run_that_somebody_deleted_stays_deleted(imported, begun):
    imported(file((1, 60, 0.1)))
    trash_run(Run.objects.get())
    again = begun(file((1, 60, 0.1)))
    assert again.preview["left_aside"] == [{"reason": "it was deleted here", "count": 1}]


def test_the_same_run_in_two_projects_is_two_runs(imported, people):
    imported(file((1, 60, 0.1)))
    imported(file((1, 60, 0.1)), project=people.charlies_project)
    assert len(set(Run.objects.values_list("run_id", flat=True))) == 2


def test_an_import_that_fails_half_way_leaves_nothing(begun, monkeypatch):
    asked = begun(slurm(1200))
    step, steps = storing.Storing.step, []

    def failing(self, wanted):
        if steps:
            raise ValueError("the disk is full")
        steps.append(wanted)
        step(self, wanted)

    monkeypatch.setattr(storing.Storing, "step", failing)
    work.confirm(asked)
    work.work_off()
    asked.refresh_from_db()
    assert (asked.state, len(steps)) == ("refused", 1)
    assert "Nothing was imported" in asked.problem
    assert (Run.objects.count(), DailyUsage.objects.count(), TrackedModel.objects.count()) == (0, 0, 0)


def test_work_that_was_interrupted_is_continued(begun, monkeypatch):
    asked = begun(slurm(1200))
    step, steps = storing.Storing.step, []

    def killed(self, wanted):
        if steps:
            raise KeyboardInterrupt
        steps.append(wanted)
        step(self, wanted)

    monkeypatch.setattr(storing.Storing, "step", killed)
    work.confirm(asked)
    with pytest.raises(KeyboardInterrupt):
        work.work_off()
    assert Run.objects.count() == len(steps[0]) < 1200
    monkeypatch.setattr(storing.Storing, "step", step)
    assert work.work_off() == 0  # somebody may still be at work
    Import.objects.update(heard_at=None)
    work.work_off()
    asked.refresh_from_db()
    assert (asked.state, asked.runs_added, Run.objects.count()) == ("done", 1200, 1200)
    assert DailyUsage.objects.aggregate(Sum("runs"))["runs__sum"] == 1200


def test_imported_runs_arrive_when_they_ended(imported):
    imported(file((1, 60, 0.1)))
    run = Run.objects.get()
    assert run.received_at == run.ended_at == run.last_seen_at


def test_a_pue_that_the_tool_applied_is_not_applied_again(imported, people):
    from runs.models import Pue

    Pue.objects.create(value=1.5, source="ours").put_in_force()
    header = HEADER.replace("codecarbon_version", "pue")
    rows = [f"2026-05-01T12:00:00,digits,{RUN_ID.format(n)},60,0.1,0.1,{pue}\n" for n, pue in ((1, 1.0), (2, 1.2))]
    imported((header + "".join(rows)).encode())
    assert sorted(Run.objects.values_list("pue", "pue_included")) == [(1.0, True), (1.5, False)]


def test_a_run_that_codecarbons_client_has_uploaded_does_not_count_twice(begun, imported, people):
    imported("codecarbon-3.3.2.csv")
    (first, *_) = Run.objects.order_by("started_at")
    Run.objects.filter(pk=first.pk).update(imported=None, run_id=uuid.uuid4())
    asked = begun("codecarbon-3.3.2.csv")
    assert asked.preview["left_aside"] == [{"reason": "its own client has uploaded it already", "count": 1}]
    assert asked.preview["new"] == 0
