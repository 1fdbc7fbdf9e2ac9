"""Past runs follow a correction of the catalogue, the factor, the PUE or the estimates, exactly, and what they said
before is kept."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from hardware.models import HardwareAlias, HardwareProfile
from runs.ingest.folding.fold import fold_waiting
from runs.jobs import pace, reestimate
from runs.models import Arrival, DailyUsage, Device, EmissionFactor, Pue, Reestimation, Run, RunRevision, Writer
from runs.models.reestimation import FIGURES
from runs.models.usage import AMOUNTS, KEY
from tests.wire import A100, CPU, MEMORY, batch, sample
from traceml_agent import estimation

pytestmark = pytest.mark.django_db

ACME = {"key": "gpu-0", "kind": "gpu", "name": "Acme Thinker 9", "uuid": "GPU-9"}


def a100() -> HardwareProfile:
    return HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")


def set_power(**powers) -> None:
    profile = a100()
    for field, watts in powers.items():
        setattr(profile, field, watts)
    profile.save()


def follow(reason: str = "test", **options) -> Reestimation | None:
    asked = reestimate.request(reason, **options)
    reestimate.work_off()
    if asked:
        asked.refresh_from_db()
    return asked


def usage() -> dict:
    rows = DailyUsage.objects.values(*KEY, *AMOUNTS)
    return {
        tuple(row[name] for name in KEY): [row[name] for name in AMOUNTS]
        for row in rows
        if any(abs(row[name]) > 1e-12 for name in AMOUNTS)
    }


def figures() -> dict:
    runs = Run.objects.order_by("pk").values_list("pk", *FIGURES)
    devices = Device.objects.order_by("pk").values_list("pk", "basis", "profile__slug", "energy_kwh", "counted")
    return {"runs": list(runs), "devices": list(devices)}


def test_a_corrected_tdp_changes_every_estimated_run_by_the_formulas_ratio(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    before = Run.objects.get()
    set_power(idle_w=None, full_load_w=None, tdp_w=a100().tdp_w)
    follow()
    estimated = Run.objects.get().energy_kwh
    set_power(tdp_w=2 * a100().tdp_w)
    asked = follow()
    run = Run.objects.get()
    assert run.energy_kwh == pytest.approx(2 * estimated, rel=1e-12)
    assert run.emissions_kg == pytest.approx(run.energy_kwh * before.factor.kg_per_kwh, rel=1e-12)
    assert sum(DailyUsage.objects.values_list("energy_kwh", flat=True)) == pytest.approx(run.energy_kwh, rel=1e-12)
    assert (asked.done, asked.total, asked.finished_at is not None) == (1, 1, True)
    assert (asked.energy_before_kwh, asked.energy_after_kwh) == (pytest.approx(estimated), pytest.approx(2 * estimated))


def test_a_run_whose_processor_has_a_counter_is_left_alone(wire, catalogue):
    wire.whole_run([sample("cpu-0", 3600, 1800, 7.2e5)], [CPU | {"basis": "counter"}])
    profile = Device.objects.get().profile
    profile.tdp_w = 1000
    profile.save()
    assert follow() is None
    assert not RunRevision.objects.exists()


def test_of_a_card_with_a_counter_the_idle_part_alone_follows_its_profile(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800, 7.2e5)], [A100 | {"basis": "counter"}])
    before = Run.objects.get()
    assert before.idle_kwh == pytest.approx(0.2 * 46 * 1800 / (46 * 3600 + 354 * 1800), rel=1e-12)
    set_power(idle_w=80)
    follow()
    run = Run.objects.get()
    assert [getattr(run, name) for name in FIGURES[:-1]] == [getattr(before, name) for name in FIGURES[:-1]]
    assert run.idle_kwh == pytest.approx(0.2 * 80 * 1800 / (80 * 3600 + 320 * 1800), rel=1e-12)
    assert sum(DailyUsage.objects.values_list("idle_kwh", flat=True)) == pytest.approx(run.idle_kwh, rel=1e-12)
    assert RunRevision.objects.get().idle_kwh == before.idle_kwh


def test_new_estimates_reach_the_past_and_its_former_figures_are_kept(wire, catalogue, monkeypatch):
    set_power(idle_w=None)
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    before = Run.objects.get()
    assert follow() is None
    idler = estimation.power_class(a100())._replace(idle_share=0.5)
    monkeypatch.setattr(estimation, "power_class", lambda profile: idler)
    monkeypatch.setattr(estimation, "REVISION", estimation.REVISION + 1)
    follow("release 2")
    run = Run.objects.get()
    assert run.energy_kwh == pytest.approx((200 * 3600 + 200 * 1800) / 3.6e6, rel=1e-12)
    revision = RunRevision.objects.get()
    assert [getattr(revision, name) for name in FIGURES] == [getattr(before, name) for name in FIGURES]
    assert revision.reestimation.reason == "release 2"
    assert follow() is None


def test_a_profile_of_lower_confidence_widens_the_range_of_past_runs(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 3600)])
    before = Run.objects.get()
    profile = a100()
    profile.confidence = "estimate"
    profile.save()
    follow()
    run = Run.objects.get()
    assert run.energy_kwh == before.energy_kwh
    assert run.energy_low_kwh == pytest.approx(before.energy_low_kwh / 1.5, rel=1e-12)
    assert run.energy_high_kwh == pytest.approx(before.energy_high_kwh * 1.5, rel=1e-12)
    assert RunRevision.objects.get().energy_high_kwh == before.energy_high_kwh


def test_runs_keep_their_pue_until_they_are_asked_to_take_the_new_one(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    old = Run.objects.get()
    assert old.pue == 1
    Pue.objects.create(value=1.5, source="the building's meter, 2025").put_in_force()
    assert follow() is None
    follow(takes_pue=True)
    run = Run.objects.get()
    assert (run.pue, run.energy_kwh, run.factor) == (1.5, old.energy_kwh, old.factor)
    assert run.emissions_kg == pytest.approx(1.5 * old.emissions_kg, rel=1e-12)
    assert sum(DailyUsage.objects.values_list("emissions_kg", flat=True)) == pytest.approx(run.emissions_kg, rel=1e-12)
    revision = RunRevision.objects.get()
    assert (revision.pue, revision.emissions_kg) == (1, old.emissions_kg)


def test_a_new_run_takes_the_pue_in_force(wire, catalogue):
    Pue.objects.create(value=1.2, source="measured").put_in_force()
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    run = Run.objects.get()
    assert run.pue == 1.2
    assert run.emissions_kg == pytest.approx(1.2 * run.energy_kwh * run.factor.kg_per_kwh, rel=1e-12)


def test_the_former_figure_is_kept_as_a_revision(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    before = Run.objects.get()
    set_power(full_load_w=900)
    follow("the datasheet")
    revision = RunRevision.objects.get()
    assert [getattr(revision, name) for name in FIGURES] == [getattr(before, name) for name in FIGURES]
    assert (revision.run, revision.reestimation.reason) == (before, "the datasheet")


def test_resolving_an_unknown_device_turns_its_fallback_runs_into_estimated_ones(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)], [ACME])
    HardwareAlias.objects.create(profile=a100(), name="Acme Thinker 9")
    follow()
    device = Device.objects.get()
    assert (device.basis, device.profile) == ("tdp", a100())
    assert device.energy_kwh == pytest.approx((46 * 3600 + 354 * 1800) / 3.6e6, rel=1e-12)
    assert set(DailyUsage.objects.exclude(hardware="").filter(device_s__gt=0).values_list("hardware", flat=True)) == {
        a100().slug
    }


def test_an_alias_that_was_taken_away_gives_the_fallback_back(wire, catalogue):
    alias = HardwareAlias.objects.create(profile=a100(), name="Acme Thinker 9")
    wire.whole_run([sample("gpu-0", 3600, 1800)], [ACME])
    alias.delete()
    follow()
    assert Device.objects.get().basis == "fallback"


def test_a_measured_device_gets_its_right_name_and_keeps_its_joules(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800, 7.2e5)], [ACME | {"basis": "counter"}])
    HardwareAlias.objects.create(profile=a100(), name="Acme Thinker 9")
    follow()
    device = Device.objects.get()
    assert (device.basis, device.profile, device.energy_kwh) == ("counter", a100(), 0.2)
    revision = RunRevision.objects.get()
    assert (revision.energy_kwh, revision.emissions_kg) == (0.2, Run.objects.get().emissions_kg), "idle alone changed"


def test_runs_keep_their_factor_until_they_are_asked_to_take_the_new_one(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    old = Run.objects.get()
    EmissionFactor.objects.create(kg_per_kwh=0.4, year=2030, source="a forecast").put_in_force()
    set_power(full_load_w=900)
    follow()
    assert Run.objects.get().factor == old.factor
    follow(takes_factor=True)
    run = Run.objects.get()
    assert run.factor.kg_per_kwh == 0.4
    assert run.emissions_kg == pytest.approx(0.4 * run.energy_kwh, rel=1e-12)
    assert [revision.factor for revision in run.revisions.all()] == [old.factor] * 2


def many_runs(wire) -> None:
    """Runs of several models and days, one over midnight, some measured, some unknown, two writers with one card."""
    start = (datetime.now(UTC) - timedelta(days=3)).replace(hour=12)
    for number in range(7):
        began = (start + timedelta(hours=5 * number)).isoformat()
        run_id = wire.start(model=f"m{number % 3}", started_at=began, writer_started_at=began)
        gpu = {0: A100, 1: ACME, 2: A100 | {"basis": "counter"}}[number % 3]
        joules = 1e6 if number % 3 == 2 else None
        for hour in (4, 11, 16):
            rows = [
                sample("gpu-0", hour * 3600, hour * 2000, joules and joules * hour),
                sample("cpu-0", hour * 3600, 900),
            ]
            wire.send(run_id, f"b-{hour}", batch([*rows, sample("ram", hour * 3600, 0)], [gpu, CPU, MEMORY]))
    run_id = wire.start()
    wire.start(run_id, writer="w-2")
    wire.send(run_id, "b-1", batch([sample("gpu-0", 600, 60)]))
    wire.send(run_id, "b-2", batch([sample("gpu-0", 601, 60)], writer="w-2"))


def test_re_estimated_is_exactly_what_a_fresh_ingest_with_the_new_data_gives(wire, catalogue):
    many_runs(wire)
    set_power(tdp_w=450, full_load_w=431, idle_w=33)
    HardwareAlias.objects.create(profile=a100(), name="Acme Thinker 9")
    HardwareProfile.objects.get(slug="memory-per-gb").delete()
    EmissionFactor.objects.create(kg_per_kwh=0.3, year=2031, source="another").put_in_force()
    Pue.objects.create(value=1.3, source="the building's").put_in_force()
    follow(takes_factor=True, takes_pue=True)
    followed, days = figures(), usage()
    for writer in Writer.objects.all():
        about = {"project_id": writer.project_id, "run_id": writer.run_id, "writer": writer}
        Arrival.objects.create(**about, received_at=timezone.now(), told={})
    while fold_waiting():
        pass
    assert figures() == followed
    assert usage() == {key: pytest.approx(amounts, rel=1e-9, abs=1e-12) for key, amounts in days.items()}


def test_interrupted_it_goes_on_where_it_stopped(wire, catalogue, monkeypatch):
    monkeypatch.setattr(pace, "FIRST", 2)
    monkeypatch.setattr(pace, "MOST", 2)
    for _ in range(5):
        wire.whole_run([sample("gpu-0", 3600, 1800)])
    set_power(full_load_w=900)
    asked = reestimate.request("test")

    def stop_after_the_first(asked):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reestimate.work_off(stop_after_the_first)
    assert RunRevision.objects.count() == 2
    assert reestimate.work_off() == 0, "somebody may still be at it"
    Reestimation.objects.update(heard_at=datetime.now(UTC) - timedelta(hours=1))
    assert reestimate.work_off() == 3
    asked.refresh_from_db()
    assert (asked.done, asked.total, RunRevision.objects.count()) == (5, 5, 5)
    assert len(set(Run.objects.values_list("energy_kwh", flat=True))) == 1


def test_what_a_change_reaches_is_known_before_it_is_made(wire, charlies_wire, catalogue):
    for each in (wire, wire, charlies_wire):
        each.whole_run([sample("gpu-0", 3600, 1800)])
    kept = a100().full_load_w
    _, reached = reestimate.rehearse(lambda: set_power(full_load_w=900))
    assert (reached.runs, reached.teams) == (3, 2)
    assert reached.energy_kwh == pytest.approx(sum(Run.objects.values_list("energy_kwh", flat=True)))
    assert a100().full_load_w == kept
    assert not reestimate.behind().exists()


def test_the_command_tells_what_is_behind_and_follows_up(wire, catalogue, capsys):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    set_power(full_load_w=900)
    call_command("reestimate", dry_run=True)
    assert capsys.readouterr().out.startswith("Outdated: 1 run of 1 team,")
    call_command("reestimate", all=True)
    assert "1 run recalculated" in capsys.readouterr().out
    assert not reestimate.behind().exists()


def test_a_new_seed_file_asks_for_a_pass(wire, catalogue, capsys):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    set_power(full_load_w=999)
    follow()
    call_command("load_catalogue")
    assert "manage.py reestimate" in capsys.readouterr().out
    reestimate.work_off()
    assert Run.objects.get().energy_kwh == pytest.approx((46 * 3600 + 354 * 1800) / 3.6e6, rel=1e-12)


def test_a_row_that_was_changed_past_the_model_does_not_keep_it_busy_for_ever(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    HardwareProfile.objects.filter(pk=a100().pk).update(revision=99)
    assert follow().done == 1
