"""From counters to energy, emissions and daily totals."""

from datetime import UTC, date, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import call_command

from hardware.models import HardwareProfile
from runs.models import DailyUsage, EmissionFactor, Run
from runs.models.usage import AMOUNTS, KEY
from tests.wire import A100, CPU, MEMORY, batch, sample
from traceml_agent import estimation

pytestmark = pytest.mark.django_db


def usage_rows() -> dict:
    return {tuple(row[name] for name in KEY): row for row in DailyUsage.objects.values()}


def test_an_estimated_gpu_lies_between_idle_and_full_load(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    device = Run.objects.get().devices.get()
    # A100 SXM4 40GB: 46 W idle (seen), 400 W TDP held at full load; half of an hour busy.
    assert device.profile.slug == "nvidia-a100-sxm4-40gb"
    assert device.energy_kwh == pytest.approx((46 * 3600 + (400 - 46) * 1800) / 3.6e6, rel=1e-12)
    assert device.basis == "tdp"


def test_a_measured_device_keeps_its_joules_whatever_the_profile(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800, 720_000.0)], [A100 | {"basis": "counter"}])
    run = Run.objects.get()
    assert run.energy_kwh == 0.2
    assert (run.devices.get().basis, run.measured_share) == ("counter", 1.0)


def test_emissions_are_energy_times_the_active_factor(wire):
    wire.whole_run([sample("gpu-0", 3600, 1800, 3.6e6)])
    run = Run.objects.get()
    assert run.factor == EmissionFactor.objects.active()
    assert run.emissions_kg == pytest.approx(1.0 * run.factor.kg_per_kwh, rel=1e-12)


def test_a_cpus_idle_power_is_shared_by_the_cores_it_gave(wire, catalogue):
    wire.whole_run([sample("cpu-0", 3600, 0)], [CPU])
    profile = HardwareProfile.objects.get(slug="amd-epyc-7742")
    idle_w = estimation.idle_power_w(profile)
    assert Run.objects.get().energy_kwh == pytest.approx(8 / 64 * idle_w / 1000, rel=1e-12)


def test_a_processor_whose_cores_nobody_lists_is_shared_by_the_hosts(wire, catalogue):
    held = {"cores": 6, "threads": 12, "host_cores": 24, "host_threads": 48}
    wire.whole_run([sample("cpu-0", 3600, 3600)], [CPU | held | {"name": "Intel(R) Xeon(R) Gold 6267C"}])
    assert HardwareProfile.objects.get(slug="intel-xeon-gold-6267c").cores is None
    assert Run.objects.get().energy_kwh == pytest.approx(0.7 * 0.165 / 4, rel=1e-12)


def test_a_vgpu_is_the_part_of_a_card_that_its_name_states(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 3600)], [A100 | {"name": "GRID A100-10C", "memory_gb": 10.7}])
    device = Run.objects.get().devices.get()
    assert (device.profile.slug, device.basis) == ("nvidia-a100-pcie-40gb", "tdp")
    assert device.energy_kwh == pytest.approx(0.0625, rel=1e-12)


def test_memory_is_gigabytes_times_the_catalogues_constant(wire, catalogue):
    wire.whole_run([sample("ram", 3600, 3600)], [MEMORY])
    assert Run.objects.get().energy_kwh == pytest.approx(64 * 0.12 / 1000, rel=1e-12)


def test_unknown_hardware_falls_back_and_says_so(wire, catalogue):
    wire.whole_run([sample("x", 3600, 3600)], [{"key": "x", "kind": "gpu", "name": "Acme Thinker 9"}])
    device = Run.objects.get().devices.get()
    assert (device.basis, device.profile.slug) == ("fallback", "generic-gpu")
    assert device.energy_high_kwh > device.energy_kwh > device.energy_low_kwh > 0


def test_without_a_loaded_catalogue_the_agents_own_seed_serves(wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    device = Run.objects.get().devices.get()
    assert (device.profile, device.basis) == (None, "tdp")


def a_run_of_each_kind(wire) -> dict[str, list[str]]:
    """Runs with accelerators of two kinds, with a processor, with memory alone and with nothing: what each ran on."""
    other = {"key": "gpu-1", "kind": "gpu", "name": "Tesla T4", "uuid": "GPU-2"}
    used = [sample(key, 60, 30) for key in ("gpu-0", "gpu-1", "cpu-0", "ram")]
    wire.whole_run(used, [A100, other, CPU, MEMORY], name="two")
    wire.whole_run(used[2:], [CPU, MEMORY], name="processor")
    wire.whole_run(used[3:], [MEMORY], name="memory")
    wire.start(name="nothing")
    return {
        "two": ["nvidia-a100-sxm4-40gb", "nvidia-tesla-t4"],
        "processor": ["amd-epyc-7742"],
        "memory": [],
        "nothing": [],
    }


def test_a_run_keeps_what_accelerators_it_used_else_what_processors(wire, catalogue):
    expected = a_run_of_each_kind(wire)
    assert dict(Run.objects.values_list("name", "hardware")) == expected


def test_where_the_portal_has_no_profile_the_devices_name_is_kept(wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    assert Run.objects.get().hardware == [A100["name"]]


def test_runs_from_before_get_their_hardware_by_the_migration(wire, catalogue):
    expected = a_run_of_each_kind(wire)
    Run.objects.update(hardware=[])
    import_module("runs.migrations.0014_run_hardware").name_hardware(apps, None)
    assert dict(Run.objects.values_list("name", "hardware")) == expected


def test_one_gpu_that_two_writers_report_at_once_counts_once(wire):
    run_id = wire.start()
    wire.start(run_id, writer="w-2")
    wire.send(run_id, "b-1", batch([sample("gpu-0", 600, 60, 6e4)]))
    wire.send(run_id, "b-2", batch([sample("gpu-0", 601, 60, 6.1e4)], writer="w-2"))
    run = Run.objects.get()
    assert sorted(run.devices.values_list("counted", flat=True)) == [False, True]
    assert run.energy_kwh == pytest.approx(6.1e4 / 3.6e6, rel=1e-12)


def test_a_run_over_midnight_falls_on_both_days(wire):
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)
    start = noon.isoformat()
    samples = [sample("gpu-0", hour * 3600, hour * 1800, hour * 3.6e5) for hour in (6, 11, 13, 24)]
    run_id = wire.start(started_at=start, writer_started_at=start)
    wire.send(run_id, "b-1", batch(samples))
    by_day = dict(DailyUsage.objects.exclude(hardware="").values_list("day", "energy_kwh"))
    assert by_day == {
        noon.date(): pytest.approx(1.1, rel=1e-12),
        noon.date() + timedelta(days=1): pytest.approx(1.3, rel=1e-12),
    }


def test_days_come_out_the_same_in_any_order_of_batches(wire):
    start = (datetime.now(UTC) - timedelta(days=4)).isoformat()
    parts = [batch([sample("gpu-0", h * 3600, h * 900, h * 1e5)]) for h in range(6, 72, 6)]
    totals = []
    for order in (parts, parts[::-1], parts[::2] + parts[1::2]):
        run_id = wire.start(started_at=start, writer_started_at=start, model=f"m{len(totals)}")
        for part in order:
            wire.send(run_id, f"b-{parts.index(part)}", part)
        rows = DailyUsage.objects.filter(tracked_model__name=f"m{len(totals)}").exclude(hardware="")
        totals.append(dict(rows.values_list("day", "energy_kwh")))
    for other in totals[1:]:
        assert other == {day: pytest.approx(kwh, rel=1e-9) for day, kwh in totals[0].items()}


def test_daily_totals_add_up_to_the_runs(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800), sample("cpu-0", 3600, 900)], [A100, CPU])
    wire.whole_run([sample("gpu-0", 60, 30, 2e4)], kind="inference")
    usage = DailyUsage.objects.all()
    runs = Run.objects.all()
    for amount in ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "measured_kwh", "emissions_kg", "duration_s"):
        by_days = sum(usage.values_list(amount, flat=True))
        assert by_days == pytest.approx(sum(runs.values_list(amount, flat=True)), rel=1e-12), amount
    assert sum(usage.values_list("runs", flat=True)) == 2


def test_rebuilding_from_the_facts_gives_equal_daily_totals(wire, catalogue):
    start = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    for number in range(3):
        run_id = wire.start(started_at=start, writer_started_at=start, model=f"m{number % 2}")
        for hour in (5, 20, 30, 40):
            rows = [sample("gpu-0", hour * 3600, hour * 1000), sample("cpu-0", hour * 3600, hour * 700)]
            wire.send(run_id, f"b-{hour}", batch(rows, [A100, CPU]))
    kept = usage_rows()
    call_command("rebuild_usage", verbosity=0)
    rebuilt = usage_rows()
    assert rebuilt.keys() == kept.keys()
    for key, row in rebuilt.items():
        for amount in AMOUNTS:
            assert row[amount] == pytest.approx(kept[key][amount], rel=1e-9, abs=1e-12), (key, amount)


def test_a_corrected_profile_shows_in_totals_and_days_by_the_formulas_ratio(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 3600)])
    before = Run.objects.get().energy_kwh
    profile = HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")
    profile.tdp_w = profile.tdp_w * 2
    profile.save()
    call_command("rebuild_usage", verbosity=0)
    assert Run.objects.get().energy_kwh == pytest.approx(2 * before, rel=1e-12)
    assert sum(DailyUsage.objects.values_list("energy_kwh", flat=True)) == pytest.approx(2 * before, rel=1e-12)


def test_the_day_of_a_sample_is_its_own_not_that_of_its_arrival(wire):
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    wire.whole_run([sample("gpu-0", 60, 30, 1e4)], started_at=start.isoformat(), writer_started_at=start.isoformat())
    assert set(DailyUsage.objects.values_list("day", flat=True)) == {date(2026, 3, 1)}


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("NVIDIA A100-SXM4-40GB", "alias"),
        ("NVIDIA A100 SXM4 40GB", "name"),
        ("nvidia a100-sxm4-40gb  MIG 1g.5gb", "normalised name"),
        ("Acme Thinker 9", "fallback"),
    ],
)
def test_how_a_device_was_matched_is_kept(wire, catalogue, name, how):
    wire.whole_run([sample("gpu-0", 3600, 1800)], [A100 | {"name": name}])
    assert Run.objects.get().devices.get().matched_by == how
