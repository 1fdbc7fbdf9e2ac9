"""Planning before a run, and a past run's work on other hardware; the whole plan stands in the address."""

import pytest

from hardware.models import HardwareProfile
from runs.models import EmissionFactor, Run
from tests.wire import A100, CPU, sample

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
    assert "Against the first" in page.content.decode()


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
    assert "Near: " in read("?hardware=A100").content.decode()


def test_hostile_text_stays_text(read):
    page = read("?hardware=%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E&count=%22%3E")
    assert "<script>alert" not in page.content.decode()
    assert "NUL" not in read("?hardware=a%00b").content.decode()


def test_the_fifth_choice_is_one_too_many(read):
    query = "&".join([f"hardware={A100_SLUG}"] * 9)
    assert len(rows(read(f"?{query}&add=1"))) == 4


def test_a_runs_work_on_faster_hardware_takes_less_time_by_peak_throughput(read, wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)])
    h100 = HardwareProfile.objects.get(slug="nvidia-h100-sxm5-80gb")
    a100 = HardwareProfile.objects.get(slug=A100_SLUG)
    before, after = rows(read(f"?run={run_id}&hardware={h100.slug}&count=1&speed_up="))
    assert before.energy_kwh == Run.objects.get().energy_kwh
    assert after.hours == pytest.approx(before.hours * a100.peak_tflops / h100.peak_tflops)
    assert "by peak single precision" in after.assumption


def test_a_stated_speed_up_counts_more_and_the_rest_of_the_machine_runs_as_long(read, wire):
    devices = [A100, CPU]
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800), sample("cpu-0", 3600, 1800)], devices)
    before, after = rows(read(f"?run={run_id}&hardware={A100_SLUG}&count=1&speed_up=2"))
    assert after.hours == pytest.approx(before.hours / 2)
    assert after.energy_kwh == pytest.approx(before.energy_kwh / 2)
    assert "as you said" in after.assumption


def test_twice_as_many_devices_take_half_the_time_and_the_same_energy(read, wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)])
    before, after = rows(read(f"?run={run_id}&hardware={A100_SLUG}&count=2&speed_up=1"))
    assert (after.hours, after.energy_kwh) == (pytest.approx(before.hours / 2), pytest.approx(before.energy_kwh))


def test_a_run_of_a_stranger_is_not_there(read, charlies_wire):
    read(f"?run={charlies_wire.whole_run()}", status=404)


@pytest.mark.parametrize("run", ["nonsense", "%00", "00000000"])
def test_what_is_no_run_is_a_bad_request(read, run):
    read(f"?run={run}", status=400)
