"""Planning before a run, and a past run's work on other hardware; the whole plan stands in the address."""

import pytest

from hardware.models import HardwareProfile
from runs.figures import units
from runs.models import EmissionFactor, Run
from tests.wire import A100, CPU, sample
from traceml_agent import estimation

A100_SLUG = "nvidia-a100-sxm4-40gb"


def rows(page) -> list:
    return page.context["rows"]


@pytest.fixture
def read(client, people, catalogue):
    client.force_login(people.alice)

    def get(query="", status=200):
        answer = client.get(f"/plan/{query}")
        assert answer.status_code == status
        return answer

    return get


def test_energy_and_emissions_of_a_choice_by_hand(read):
    (row,) = rows(read(f"?hardware={A100_SLUG}&count=8&hours=10&utilisation=0.5"))
    # 8 boards between 46 W idle and 400 W at full load, half of 10 h busy
    assert row.energy_kwh == pytest.approx(8 * (46 + 354 * 0.5) * 10 / 1000)
    assert row.emissions_kg == pytest.approx(row.energy_kwh * EmissionFactor.objects.active().kg_per_kwh)
    assert row.energy_low_kwh < row.energy_kwh < row.energy_high_kwh


def test_choices_stand_side_by_side_with_what_they_differ_by(read):
    page = read(
        f"?hardware={A100_SLUG}&count=1&hours=10&hardware=Tesla+T4&count=4&hours=20&utilisation=1&utilisation=1"
    )
    assert [(row.number, row.hours) for row in rows(page)] == [(1, 10), (4, 20)]
    assert "Compared with first" in page.content.decode()


def test_a_name_as_a_driver_gives_it_will_do(read):
    (row,) = rows(read("?hardware=NVIDIA+A100-SXM4-40GB&count=1&hours=1&utilisation=1"))
    assert row.profile.slug == A100_SLUG


def test_a_clouds_machine_type_stands_for_its_devices(read):
    (row,) = rows(read("?hardware=p4d.24xlarge&count=2&hours=1&utilisation=1"))
    assert (row.number, row.profile.slug) == (16, A100_SLUG)


def test_processors_are_planned_with_all_their_cores(read):
    (row,) = rows(read("?hardware=amd-epyc-7742&count=2&hours=1&utilisation=1"))
    assert row.energy_kwh == pytest.approx(2 * 0.7 * 225 / 1000)


@pytest.mark.parametrize(
    "query",
    [
        "?hardware=RTX+3081",
        f"?hardware={A100_SLUG}&count=0",
        f"?hardware={A100_SLUG}&count=-3",
        f"?hardware={A100_SLUG}&count=1e9",
        f"?hardware={A100_SLUG}&count=1&hours=nan",
        f"?hardware={A100_SLUG}&count=1&hours=inf",
        f"?hardware={A100_SLUG}&count=1&hours=-1",
        f"?hardware={A100_SLUG}&count=1&hours=1&utilisation=7",
        f"?hardware={A100_SLUG}&count=many",
        "?hardware=" + "x" * 300,
    ],
)
def test_what_can_not_be_is_said_beside_its_field(read, query):
    page = read(query)
    assert rows(page) == []
    assert 'class="errorlist"' in page.content.decode()


def test_a_near_miss_names_what_comes_near(read):
    assert "Similar: " in read("?hardware=A100").content.decode()


def test_hostile_text_stays_text(read):
    page = read("?hardware=%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E&count=%22%3E")
    assert "<script>alert" not in page.content.decode()
    assert "NUL" not in read("?hardware=a%00b").content.decode()


def test_the_fifth_choice_is_one_too_many(read):
    query = "&".join([f"hardware={A100_SLUG}"] * 9)
    assert len(rows(read(f"?{query}&add=1"))) == 4


H100 = {"key": "gpu-0", "kind": "gpu", "name": "NVIDIA H100 80GB HBM3", "uuid": "GPU-2222"}


def instead(run_id: str, *slugs: str, more: str = "") -> str:
    return f"?run={run_id}{more}" + "".join(f"&hardware={slug}&count=1&speed_up=" for slug in slugs)


def test_a_runs_work_on_faster_hardware_takes_less_time_by_dense_bf16(read, wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)])
    before, after = rows(read(instead(run_id, "nvidia-h100-sxm5-80gb")))
    assert before.energy_kwh == Run.objects.get().energy_kwh
    assert after.hours == pytest.approx(before.hours * 312 / 989.4)
    assert "by dense BF16 throughput (989.4 over 312 TFLOPS) (assumed)" in after.assumption


@pytest.mark.parametrize("energy_j", [None, 1_200_000.0])
@pytest.mark.parametrize("devices", [[A100], [A100, CPU]], ids=["gpu", "gpu and cpu"])
def test_a_run_on_its_own_hardware_is_the_run_itself(read, wire, devices, energy_j):
    samples = [sample("gpu-0", 3600, 1800, energy_j), sample("cpu-0", 3600, 1800)]
    run_id = wire.whole_run(samples[: len(devices)], devices)
    before, after = rows(read(instead(run_id, A100_SLUG)))
    for figure in ("hours", "power_w", "energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg"):
        assert getattr(after, figure) == pytest.approx(getattr(before, figure), rel=1e-6)


@pytest.mark.parametrize(
    ("device", "slug"),
    [
        ({"key": "cpu-0", "kind": "cpu", "name": "AMD EPYC 7742", "cores": 8}, "amd-epyc-7742"),
        ({"key": "cpu-0", "kind": "cpu", "name": "AMD EPYC 7742", "cores": 128}, "amd-epyc-7742"),
        ({"key": "cpu-0", "kind": "cpu", "name": "none of ours"}, "generic-cpu-thread"),
        ({"key": "cpu-0", "kind": "gpu", "name": "GRID A100-10C"}, "nvidia-a100-pcie-40gb"),
        ({"key": "cpu-0", "kind": "gpu", "name": "NVIDIA A100-SXM4-40GB MIG 2g.10gb", "share": 2 / 7}, A100_SLUG),
    ],
    ids=["part of a processor", "two sockets", "unknown", "vGPU", "MIG slice"],
)
def test_a_part_of_a_device_on_its_own_hardware_is_the_run_itself_too(read, wire, device, slug):
    run_id = wire.whole_run([sample("cpu-0", 3600, 900)], [device])
    before, after = rows(read(instead(run_id, slug)))
    assert (after.hours, after.energy_kwh) == (pytest.approx(before.hours), pytest.approx(before.energy_kwh))


def test_h100_to_others_ranks_as_dense_bf16_does(read, wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800, 1_500_000.0)], [H100])
    others = {"nvidia-b200": 2250, "nvidia-l40s": 362, A100_SLUG: 312, "nvidia-l4": 121}
    before, *after = rows(read(instead(run_id, *others)))
    assert [row.hours for row in after] == [pytest.approx(before.hours * 989.4 / peak) for peak in others.values()]


def test_the_runs_own_power_over_its_profile_is_carried_over(read, wire):
    estimated = wire.whole_run([sample("gpu-0", 3600, 1800)], [H100])
    before_estimated, by_profile = rows(read(instead(estimated, "nvidia-b200")))
    measured = wire.whole_run([sample("gpu-0", 3600, 1800, 1_000_000.0)], [H100])
    before, after = rows(read(instead(measured, "nvidia-b200")))
    ratio = before.energy_kwh / before_estimated.energy_kwh
    assert after.energy_kwh == pytest.approx(ratio * by_profile.energy_kwh)
    assert f"at {units.significant(ratio)} times the profile's estimate, as in this run" in after.assumption


def test_the_data_type_that_was_asked_for_counts_and_is_not_assumed(read, wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)], [H100])
    before, after = rows(read(instead(run_id, "amd-instinct-mi300x", more="&by=fp32")))
    assert after.hours == pytest.approx(before.hours * 66.91 / 163.4)
    assert "assumed" not in after.assumption


def test_the_slower_of_arithmetic_and_memory_is_named_and_the_range_reaches_to_it(read, wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)], [H100])
    _, l40s, a100 = rows(read(instead(run_id, "nvidia-l40s", A100_SLUG)))
    assert "memory bandwidth (864 over 3350 GB/s); the range includes this slower case" in l40s.assumption
    profile = HardwareProfile.objects.get(slug="nvidia-l40s")
    by_profile = estimation.device_energy(estimation.Facts("gpu", elapsed_s=3600, busy_s=1800), profile)
    assert l40s.energy_high_kwh / l40s.energy_kwh == pytest.approx(
        by_profile.high_j / by_profile.energy_j * (362 / 989.4) / (864 / 3350)
    )
    assert "the slower of the two limits" in a100.assumption


@pytest.mark.parametrize("slug", ["apple-m2-gpu", "amd-epyc-7742"])
def test_without_a_peak_no_energy_is_claimed(read, wire, slug):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)])
    page = read(instead(run_id, slug))
    (_, after) = rows(page)
    assert (after.energy_kwh, after.hours, after.emissions_kg) == (None, None, None)
    assert "no estimate" in after.assumption
    assert "no estimate" in page.content.decode()


def test_work_of_unknown_hardware_claims_nothing_elsewhere(read, wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)], [{"key": "gpu-0", "kind": "gpu", "name": "none of ours"}])
    assert rows(read(instead(run_id, A100_SLUG)))[1].energy_kwh is None


def test_as_many_devices_as_before_are_taken_where_no_number_is_given(read, wire):
    boards = [A100 | {"key": f"gpu-{n}", "uuid": f"GPU-{n}"} for n in range(4)]
    run_id = wire.whole_run([sample(board["key"], 3600, 1800) for board in boards], boards)
    before, after = rows(read(f"?run={run_id}&hardware={A100_SLUG}"))
    assert (after.number, after.energy_kwh) == (4, pytest.approx(before.energy_kwh))


def test_a_limit_that_is_none_is_said_beside_its_field(read, wire):
    page = read(instead(wire.whole_run(), A100_SLUG, more="&by=int3"))
    assert len(rows(page)) == 1
    assert 'class="errorlist"' in page.content.decode()


def test_a_stated_speed_up_counts_more_and_the_rest_of_the_machine_runs_as_long(read, wire):
    devices = [A100, CPU]
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800), sample("cpu-0", 3600, 1800)], devices)
    before, after = rows(read(f"?run={run_id}&hardware={A100_SLUG}&count=1&speed_up=2"))
    assert after.hours == pytest.approx(before.hours / 2)
    assert after.energy_kwh == pytest.approx(before.energy_kwh / 2)
    assert "as entered" in after.assumption


def test_twice_as_many_devices_take_half_the_time_and_the_same_energy(read, wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)])
    before, after = rows(read(f"?run={run_id}&hardware={A100_SLUG}&count=2&speed_up=1"))
    assert (after.hours, after.energy_kwh) == (pytest.approx(before.hours / 2), pytest.approx(before.energy_kwh))


def test_a_run_of_a_stranger_is_not_there(read, charlies_wire):
    read(f"?run={charlies_wire.whole_run()}", status=404)


@pytest.mark.parametrize("run", ["nonsense", "%00", "00000000"])
def test_what_is_no_run_is_a_bad_request(read, run):
    read(f"?run={run}", status=400)
