"""Runs that measured the same at the same time: each keeps its own figure, and every sum counts a joule once."""

import random
import uuid

import pytest
from django.core.management import call_command
from django.urls import reverse

from hardware.models import HardwareProfile
from runs.jobs import reestimate
from runs.models import DailyUsage, Device, MonthlyUsage, ProjectUsage, Run
from runs.selection.groups import grouped
from runs.selection.run_totals import totals_of
from tests.wire import CPU, Wire, batch, sample

pytestmark = pytest.mark.django_db
METERED = CPU | {"basis": "counter"}
HOUR_J = 3.6e6  # of a kilowatt


def shared(*counters, held_s=None, shares=(0.0, 0.0, 0.0)) -> dict:
    """A sample of a processor of which `shares` of the seconds held, the seconds busy and the joules are others'."""
    whole = sample("cpu-0", *counters)
    names = ("shared_held_s", "shared_busy_s", "shared_energy_j")
    return whole | {"held_s": counters[0] if held_s is None else held_s} | dict(zip(names, shares, strict=True))


def send(wire: Wire, samples, devices=(CPU,), overlaps=(), run_id=None, **changes) -> Run:
    run_id = wire.start(run_id, **changes)
    body = batch(samples, devices, overlaps=[{"run": each, "shares": shares} for each, shares in overlaps])
    answer = wire.send(run_id, f"b-{uuid.uuid4().hex[:8]}", body)
    assert answer.status_code == 201, answer.content
    return Run.objects.get(run_id=run_id)


def counted_kwh() -> list[float]:
    """What the totals of the project and of its models have."""
    return [
        sum(table.objects.values_list("energy_kwh", flat=True)) for table in (ProjectUsage, DailyUsage, MonthlyUsage)
    ]


def test_a_run_keeps_its_own_figure_and_totals_count_a_joule_once(wire, catalogue):
    outer = send(wire, [shared(3600, 1800, 2 * HOUR_J, shares=(1800, 900, HOUR_J))], [METERED])
    inner = send(wire, [sample("cpu-0", 1800, 900, HOUR_J)], [METERED])
    assert (outer.energy_kwh, outer.shared_kwh, inner.shared_kwh) == (2.0, 1.0, 0.0)
    assert counted_kwh() == [2.0, 2.0, 2.0]
    assert outer.shared_kg == pytest.approx(outer.emissions_kg / 2)


def test_an_estimate_is_shared_by_the_same_formula(wire, catalogue):
    whole = send(wire, [sample("cpu-0", 3600, 1800)], started_at="2026-01-01T00:00:00Z")
    before = counted_kwh()[0]
    send(wire, [shared(3600, 1800, shares=(1800, 1200, 0.0))])
    send(wire, [shared(3600, 1800, shares=(1800, 600, 0.0))])
    assert counted_kwh()[0] == pytest.approx(before + whole.energy_kwh)


def test_idle_power_of_a_host_is_counted_once_among_its_jobs(wire, catalogue):
    """Eight jobs of an hour that work a minute each are given what one job of eight minutes in that hour is."""
    one = send(wire, [sample("cpu-0", 3600, 480)])
    eight = [send(wire, [shared(3600, 60, held_s=450)]) for _ in range(8)]
    assert sum(run.energy_kwh for run in eight) == pytest.approx(one.energy_kwh)
    assert {run.shared_kwh for run in eight} == {0.0}


def test_lists_and_grouped_runs_count_a_joule_once(wire, catalogue):
    send(wire, [shared(3600, 1800, 2 * HOUR_J, shares=(1800, 900, HOUR_J))], [METERED])
    send(wire, [sample("cpu-0", 1800, 900, HOUR_J)], [METERED])
    runs = Run.objects.all()
    assert totals_of(runs).energy_kwh == pytest.approx(2.0)
    (group,) = grouped(runs, "kind", found=None)
    assert (group.energy.sum, group.energy.mean) == (pytest.approx(2.0), pytest.approx(1.5))


def test_late_doubled_and_reordered_batches_change_nothing(wire, catalogue):
    """The counters are cumulative, those of what is shared as well."""
    steps = [shared(60 * n, 30 * n, 600.0 * n, shares=(20 * n, 10 * n, 200 * n)) for n in (1, 2, 3)]
    bodies = [batch([step], [METERED]) for step in steps]
    seen = set()
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 1, 0, 2]):
        run_id = wire.start()
        for n in order:
            wire.send(run_id, f"b-{n}", bodies[n])
        run = Run.objects.get(run_id=run_id)
        seen.add((run.energy_kwh, run.shared_kwh))
    assert len(seen) == 1
    assert seen.pop() == (1800 / HOUR_J, pytest.approx(600 / HOUR_J))


def test_days_add_up_to_what_the_run_counts(wire, catalogue):
    """The device was shared on its second day only."""
    run_id = wire.start(started_at="2026-11-01T23:30:00Z", writer_started_at="2026-11-01T23:30:00Z")
    wire.send(run_id, "b-1", batch([sample("cpu-0", 1200, 600)], [CPU]))
    wire.send(run_id, "b-2", batch([shared(3600, 1800, held_s=2400, shares=(600, 300, 0.0))], [CPU]))
    run = Run.objects.get()
    assert DailyUsage.objects.exclude(hardware="").values("day").distinct().count() == 2
    assert counted_kwh()[1] == pytest.approx(run.energy_kwh - run.shared_kwh, abs=1e-11)


def test_a_corrected_profile_and_a_rebuild_leave_it_exact(wire, catalogue):
    dice = random.Random(7)
    for _ in range(6):
        held = dice.uniform(100, 3600)
        send(wire, [shared(3600, 50, held_s=held, shares=(held * dice.random(), 50 * dice.random(), 0.0))])
    profile = Device.objects.first().profile
    HardwareProfile.objects.get(pk=profile.pk)
    profile.full_load_w = 321.0
    profile.save()
    reestimate.request("test")
    assert reestimate.work_off() == 6
    for run in Run.objects.all():
        assert sum(run.devices.values_list("shared_kwh", flat=True)) == pytest.approx(run.shared_kwh)
    counted = sum(run.counted_kwh for run in Run.objects.all())
    assert counted_kwh() == [pytest.approx(counted, rel=1e-9)] * 3
    DailyUsage.objects.all().delete()
    MonthlyUsage.objects.all().delete()
    call_command("rebuild_usage", verbosity=0)
    assert counted_kwh() == [pytest.approx(counted, rel=1e-9)] * 3


def test_an_older_agent_shares_nothing(wire, catalogue):
    run = send(wire, [sample("cpu-0", 3600, 1800)])
    assert (run.shared_kwh, run.overlaps, Device.objects.get().held_s) == (0.0, [], None)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"held_s": 61.0}, "held_s"),
        ({"shared_held_s": 31.0}, "shared_held_s"),
        ({"shared_busy_s": 11.0}, "shared_busy_s"),
        ({"shared_energy_j": 1.0}, "shared_energy_j"),
        ({"held_s": -1.0}, "held_s"),
        ({"held_s": "x"}, "held_s"),
        ({"held_s": None}, "held_s"),
    ],
)
def test_no_part_exceeds_its_whole(wire, wrong, field):
    run_id = wire.start()
    answer = wire.send(run_id, "b-1", batch([shared(60, 10, held_s=30) | wrong], [CPU]))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"samples[0].{field}"


def test_what_overlaps_is_told_in_any_order_of_arrival(wire):
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    run_id = str(uuid.uuid4())
    told = [[(one, "process"), (other, "host")], [(one, "host")], [(run_id, "process"), (one, "device")]]
    for overlaps in told:
        run = send(wire, [], overlaps=overlaps, run_id=run_id)
    assert run.overlaps == sorted([[one, "process"], [other, "host"]])
    assert wire.get(f"runs/{run_id}").json()["overlaps"] == [
        {"run_id": each, "shares": shares} for each, shares in run.overlaps
    ]


def test_its_page_names_the_runs_that_the_reader_may_see(wire, client, people, catalogue):
    other = send(wire, [sample("cpu-0", 60, 30)], name="the other one")
    run = send(
        wire,
        [shared(60, 30, 600.0, shares=(30, 15, 300.0))],
        [METERED],
        overlaps=[(str(other.run_id), "process"), (str(uuid.uuid4()), "process")],
    )
    client.force_login(people.alice)
    page = client.get(reverse("run_detail", args=[run.run_id])).content.decode()
    assert "the other one" in page and "measured the same process" in page and "1 more" in page
    client.force_login(people.charlie)
    assert client.get(reverse("run_detail", args=[run.run_id])).status_code == 404
