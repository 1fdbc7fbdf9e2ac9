"""What the daily totals know beside energy: who sent a run, its tags, and what came to nothing."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from hardware.models import HardwareProfile
from runs.ingest.removal import remove_run
from runs.ingest.tags import tag_run, untag_run
from runs.jobs import reestimate
from runs.models import ApiToken, DailyUsage, MonthlyUsage, ProjectUsage, Run, RunUsage, TaggedUsage
from runs.models.usage import AMOUNTS, KEY, PROJECT_KEY, RUN_KEY, TAGGED_KEY
from tests.wire import A100, CPU, MEMORY, Wire, batch, sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def bobs_wire(people, client) -> Wire:
    return Wire(client, ApiToken.issue(people.project, "bob's", ["ingest"], people.bob)[1])


def stored(table, names) -> dict[tuple, list[float]]:
    rows = table.objects.values(*names, *AMOUNTS)
    amounts = {tuple(row[name] for name in names): [row[name] for name in AMOUNTS] for row in rows}
    return {key: row for key, row in amounts.items() if any(map(_counts, row))}


def _counts(amount: float) -> bool:
    return abs(amount) > 1e-12


def everything() -> dict[tuple, list[float]]:
    of_models = stored(DailyUsage, KEY) | stored(TaggedUsage, TAGGED_KEY)
    of_models |= {("a month", *key): row for key, row in stored(MonthlyUsage, KEY).items()}
    return of_models | stored(ProjectUsage, PROJECT_KEY) | stored(RunUsage, RUN_KEY)


def like(rows: dict[tuple, list[float]]) -> dict:
    return {key: pytest.approx(row, rel=1e-9, abs=1e-12) for key, row in rows.items()}


def by_the_runs() -> dict[str, float]:
    """Energy by tag, from the runs themselves."""
    found: dict[str, float] = defaultdict(float)
    for run in Run.objects.all():
        for tag in set(run.tags):
            found[tag] += run.energy_kwh
    return {tag: pytest.approx(kwh) for tag, kwh in found.items()}


def by_tag() -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for tag, kwh in TaggedUsage.objects.values_list("tag", "energy_kwh"):
        found[tag] += kwh
    return {tag: kwh for tag, kwh in found.items() if _counts(kwh)}


def sums(*names: str) -> list[float]:
    return [sum(DailyUsage.objects.values_list(name, flat=True)) for name in names]


def run_of(run_id: str) -> Run:
    return Run.objects.get(run_id=run_id)


def test_a_run_is_the_members_whose_token_announced_it(bobs_wire, wire, people):
    run_id = bobs_wire.start()
    wire.whole_run(run_id=run_id)
    assert run_of(run_id).member_id == people.bob.pk
    assert set(DailyUsage.objects.values_list("member_id", flat=True)) == {people.bob.pk}


def test_a_run_of_a_token_that_nobody_made_is_nobodys(wire):
    assert run_of(wire.whole_run()).member_id == 0


def test_a_member_who_left_keeps_the_runs(bobs_wire, people):
    run = run_of(bobs_wire.whole_run())
    people.bob.delete()
    call_command("rebuild_usage", verbosity=0)
    run.refresh_from_db()
    assert sums("energy_kwh") == [pytest.approx(run.energy_kwh)]
    remove_run(run)
    assert sums("energy_kwh", "runs") == [pytest.approx(0, abs=1e-12), 0]


def test_totals_by_tag_are_those_of_the_runs_with_it(wire, catalogue):
    wire.whole_run(tags=["sweep", "night"])
    run_id = wire.whole_run([sample("gpu-0", 600, 60)], tags=["night", "night"])
    assert by_tag() == by_the_runs()
    assert sum(TaggedUsage.objects.filter(tag="night").values_list("runs", flat=True)) == 2
    wire.send(run_id, "b-2", batch([sample("gpu-0", 900, 90)]))
    assert by_tag() == by_the_runs()
    remove_run(run_of(run_id))
    assert by_tag() == by_the_runs()


def test_a_tag_that_comes_or_goes_takes_the_runs_share_with_it(wire, catalogue):
    run = run_of(wire.whole_run(tags=["sweep"]))
    tag_run(run, "paper")
    tag_run(run, "paper")
    untag_run(run, "sweep")
    untag_run(run, "never")
    assert run_of(run.run_id).tags == ["paper"]
    assert by_tag() == by_the_runs()
    wire.send(run.run_id, "b-2", batch([sample("gpu-0", 7200, 90)]))
    assert by_tag() == by_the_runs()


def test_a_tag_is_added_to_the_run_as_it_stands_now(wire, catalogue):
    run_id = wire.start()
    before = run_of(run_id)
    wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 1800)]))
    tag_run(before, "late")
    assert run_of(run_id).energy_kwh > 0
    assert by_tag() == by_the_runs()


def test_failed_and_cancelled_energy_is_counted_by_itself_until_the_run_goes_on(wire, catalogue):
    run_id = wire.whole_run()
    energy_kwh = pytest.approx(run_of(run_id).energy_kwh)
    assert sums("failed_kwh", "cancelled_kwh") == [0, 0]
    wire.finish(run_id, status="cancelled")
    assert sums("failed_kwh", "cancelled_kwh") == [0, energy_kwh]
    wire.finish(run_id, status="failed")
    assert sums("failed_kwh", "cancelled_kwh") == [energy_kwh, pytest.approx(0, abs=1e-12)]
    wire.start(run_id, writer="w-2", writer_started_at=datetime.now(UTC).isoformat())
    assert run_of(run_id).status == "running"
    assert sums("failed_kwh") == [pytest.approx(0, abs=1e-12)]


def test_idle_energy_is_idle_power_times_the_time_that_accelerators_were_not_busy(wire, catalogue):
    run = run_of(wire.whole_run([sample("gpu-0", 3600, 900), sample("cpu-0", 3600, 0)], [A100, CPU]))
    assert run.idle_kwh == pytest.approx(46 * 2700 / 3.6e6)  # the processor's idle time is anybody's
    assert sums("idle_kwh") == [pytest.approx(run.idle_kwh)]


@pytest.fixture
def mixed(wire, bobs_wire, catalogue):
    """Tags, members, outcomes and days of several runs, one of them measured and one half untagged again."""
    start = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    for number, sender in enumerate([wire, bobs_wire, bobs_wire]):
        run_id = sender.start(started_at=start, writer_started_at=start, tags=["a", f"t{number}"])
        card = A100 | ({"basis": "counter"} if number == 2 else {})
        for hour in (5, 20, 30):
            rows = [sample("gpu-0", hour * 3600, hour * 1000, hour * 1e5 if number == 2 else None)]
            sender.send(run_id, f"b-{hour}", batch([*rows, sample("cpu-0", hour * 3600, hour * 700)], [card, CPU]))
        sender.finish(run_id, status=["failed", "completed", "cancelled"][number])
    untag_run(run_of(run_id), "a")


def test_rebuilding_from_the_facts_gives_the_same_in_every_row(mixed):
    before = everything()
    call_command("rebuild_usage", verbosity=0)
    assert everything() == like(before)
    assert {len(KEY), len(TAGGED_KEY), len(PROJECT_KEY), len(RUN_KEY)} == {len(key) for key in before}


def test_what_re_estimation_leaves_is_what_rebuilding_gives(mixed):
    profile = HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")
    profile.idle_w, profile.full_load_w = 90, 380
    profile.save()
    before = everything()
    reestimate.request("test")
    reestimate.work_off()
    followed, idle_kwh = everything(), list(Run.objects.order_by("pk").values_list("idle_kwh", flat=True))
    assert followed != before
    call_command("rebuild_usage", verbosity=0)
    assert everything() == like(followed)
    assert list(Run.objects.order_by("pk").values_list("idle_kwh", flat=True)) == pytest.approx(idle_kwh)


def test_the_migrations_count_what_was_there_before_them(mixed):
    Run.objects.update(member_id=0)
    call_command("rebuild_usage", verbosity=0)
    expected = everything()
    TaggedUsage.objects.all().delete()
    ProjectUsage.objects.all().delete()
    MonthlyUsage.objects.all().delete()
    DailyUsage.objects.update(failed_kwh=0.0, cancelled_kwh=0.0, carrying_s=0.0)
    gone = ("failed_kwh", "cancelled_kwh", "carrying_s")
    for run in Run.objects.all():
        run.usage = [[key, {k: v for k, v in amounts.items() if k not in gone}] for key, amounts in run.usage]
        run.save()
    RunUsage.objects.update(carrying_s=0.0)
    import_module("runs.migrations.0010_member_tags_and_waste").count_what_is_there(apps, None)
    import_module("runs.migrations.0022_figures_that_hold").count_what_carries(apps, None)
    import_module("runs.migrations.0038_monthly_usage").fill(apps, connection.schema_editor())
    assert everything() == like(expected)
    for run in Run.objects.all():
        remove_run(run)
    assert everything() == {}


def test_a_month_has_the_sum_of_its_days(wire, catalogue):
    for start in ("2026-01-31T23:30:00Z", "2026-02-01T09:00:00Z", "2026-02-28T09:00:00Z"):
        wire.whole_run([sample("gpu-0", 3600, 1800)], started_at=start, writer_started_at=start, tags=["a"])
    days: dict[tuple, float] = defaultdict(float)
    for *owner, day, kwh in DailyUsage.objects.values_list(*KEY, "energy_kwh"):
        days[(*owner, day.replace(day=1))] += kwh
    months = {tuple(key): kwh for *key, kwh in MonthlyUsage.objects.values_list(*KEY, "energy_kwh")}
    assert {day.month for *_, day in months} == {1, 2}
    assert months == {key: pytest.approx(kwh, rel=1e-12) for key, kwh in days.items()}


@pytest.mark.parametrize("kind", ["training", "finetuning", "evaluation"])
@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_trainings_and_evaluations_without_a_result_are_wasted(wire, catalogue, kind, status):
    run_id = wire.whole_run(kind=kind)
    wire.finish(run_id, status=status)
    assert sum(sums("failed_kwh", "cancelled_kwh")) == pytest.approx(run_of(run_id).energy_kwh)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("training", "stopped"), ("inference", "failed"), ("inference", "cancelled"), ("inference", "stopped")],
)
def test_what_was_switched_off_and_services_are_not(wire, catalogue, kind, status):
    wire.finish(wire.whole_run(kind=kind), status=status)
    assert sums("failed_kwh", "cancelled_kwh") == [0, 0]


def test_memory_has_no_device_hours(wire, catalogue):
    rows = [sample(key, 3600, 1800) for key in ("gpu-0", "cpu-0", "ram")]
    wire.whole_run(rows, [A100, CPU, MEMORY])
    assert sums("device_s") == [7200]
    assert sum(ProjectUsage.objects.values_list("device_s", flat=True)) == 7200


def test_the_migration_takes_memory_and_services_out_of_what_was_counted_before(mixed, wire):
    rows = [sample(key, 3600, 1800) for key in ("gpu-0", "ram")]
    wire.finish(wire.whole_run(rows, [A100, MEMORY], kind="inference", tags=["a"]), status="failed")
    expected = everything()
    for table in (DailyUsage, TaggedUsage):
        table.objects.filter(device_kind="ram").update(device_s=3600.0)
        table.objects.filter(kind="inference").update(failed_kwh=1.0)
    ProjectUsage.objects.update(device_s=1.0, failed_kwh=5.0)
    for run in Run.objects.all():
        former = {"device_s": 3600.0} | ({"failed_kwh": 1.0} if run.kind == "inference" else {})
        run.usage = [[key, amounts | (former if key[0] == "ram" else {})] for key, amounts in run.usage]
        run.save()
    import_module("runs.migrations.0016_how_runs_end").narrow_totals(apps, None)
    MonthlyUsage.objects.all().delete()
    import_module("runs.migrations.0038_monthly_usage").fill(apps, connection.schema_editor())
    assert everything() == like(expected)
    for run in Run.objects.all():
        remove_run(run)
    assert everything() == {}
