"""The physics: cases worked by hand, and properties that hold for any numbers."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traceml_agent import estimation
from traceml_agent.device_names import part_of_card
from traceml_agent.estimation import Facts, device_energy


def profile(kind="gpu", tdp_w=400.0, **more):
    unknown = {"idle_w": None, "full_load_w": None, "cores": None, "memory_gb": None}
    return SimpleNamespace(**{"kind": kind, "tdp_w": tdp_w, "unit": "device", "fallback": False} | unknown | more)


def energy_j(facts: Facts, of=None) -> float:
    return device_energy(facts, of or profile()).energy_j


def test_a_gpu_of_known_idle_power_by_hand():
    # 46 W idle for an hour, 354 W more for half of it: 165.6 kJ + 637.2 kJ
    assert energy_j(Facts("gpu", 3600, 1800), profile(idle_w=46)) == pytest.approx(802_800)


def test_a_gpu_of_known_tdp_alone_by_hand():
    # idle 12 % of 400 W is 48 W; full load is the board's 400 W
    assert energy_j(Facts("gpu", 100, 50)) == pytest.approx(48 * 100 + 352 * 50)


def test_a_cpu_by_hand():
    # 8 of 64 cores; idle 15 % and full load 70 % of 225 W; a quarter busy for an hour
    cpu = profile("cpu", 225, cores=64)
    expected = 8 / 64 * (33.75 * 3600 + (157.5 - 33.75) * 900)
    assert energy_j(Facts("cpu", 3600, 900, cores=8), cpu) == pytest.approx(expected)


def test_two_sockets_count_twice():
    cpu = profile("cpu", 225, cores=64)
    assert energy_j(Facts("cpu", 60, 30, cores=128), cpu) == pytest.approx(
        2 * energy_j(Facts("cpu", 60, 30, cores=64), cpu)
    )


def test_an_unknown_virtual_cpu_by_hand():
    # 4 W a thread at full load, 15 % of that idle; 2 threads, all busy for an hour: 28.8 kJ
    thread = profile("cpu", 4, full_load_w=4, unit="thread", fallback=True)
    energy = device_energy(Facts("cpu", 3600, 3600, cores=1, threads=2), thread)
    assert (energy.energy_j, energy.basis) == (pytest.approx(28_800), "fallback")


def test_memory_by_hand():
    # 64 GB, a quarter of them used for an hour, 0.3725 W a GB
    memory = profile("ram", 0.3725, idle_w=0, full_load_w=0.3725, unit="gb")
    assert energy_j(Facts("ram", 3600, 900, memory_gb=64), memory) == pytest.approx(64 * 0.3725 * 900)


def test_a_mig_slice_takes_its_share_of_the_board():
    whole, slice_ = Facts("gpu", 60, 60), Facts("gpu", 60, 60, share=2 / 7)
    assert energy_j(slice_) == pytest.approx(energy_j(whole) * 2 / 7)


CORE_I9 = {"kind": "cpu", "tdp_w": 55}  # a profile that does not tell its 24 cores


@pytest.mark.parametrize(
    "held",
    [
        {"cores": 6, "threads": 8, "host_cores": 24, "host_threads": 32},
        {"threads": 8, "host_threads": 32},
        {"share": 0.25},
    ],
)
def test_cores_of_a_processor_that_tells_none_are_shared_by_the_hosts(held):
    assert energy_j(Facts("cpu", 3600, 3600, **held), profile(**CORE_I9)) == pytest.approx(0.7 * 55 * 3600 / 4)


def test_the_profiles_cores_count_before_the_hosts():
    virtual = Facts("cpu", 60, 30, cores=4, host_cores=4)
    assert energy_j(virtual, profile("cpu", 225, cores=64)) == energy_j(
        Facts("cpu", 60, 30, cores=4), profile("cpu", 225, cores=64)
    )


def test_a_vgpu_takes_the_part_of_the_card_that_its_name_states():
    # 10 of 40 GB of a card of 250 W, fully busy for an hour: 62.5 Wh
    a100 = profile(tdp_w=250, memory_gb=40)
    assert energy_j(Facts("gpu", 3600, 3600, name="GRID A100-10C"), a100) == pytest.approx(62.5 * 3600)


@pytest.mark.parametrize(
    ("name", "card_gb", "part"),
    [
        ("GRID A100-10C", 40, 1 / 4),
        ("GRID A100DX-7-80C", 80, 1),
        ("NVIDIA A100-2-10C", 40, 1 / 4),
        ("NVIDIA H100XM-1-10CME", 80, 1 / 8),
        ("GRID T4-2B4", 16, 1 / 8),
        ("GRID M60-0B", 8, 1 / 16),
        ("NVIDIA H100XM-80C", 79, 1),
        ("NVIDIA A100-SXM4-40GB MIG 2g.10gb", 40, 2 / 7),
        ("NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb", 80, 1 / 7),
        ("NVIDIA A30 MIG 1g.6gb", 24, 1 / 4),
        ("NVIDIA A100-SXM4-40GB", 40, 1),
        ("AMD Instinct MI300X", 192, 1),
    ],
)
def test_a_name_states_what_part_of_a_card_it_is(name, card_gb, part):
    assert part_of_card(name, card_gb) == pytest.approx(part)


def test_a_part_that_the_agent_told_is_that_of_the_name_already():
    facts = Facts("gpu", 60, 60, share=2 / 7, name="NVIDIA A100-SXM4-40GB MIG 2g.10gb")
    assert energy_j(facts) == pytest.approx(2 / 7 * 400 * 60)


@pytest.mark.parametrize("basis", ["counter", "sensor"])
def test_measured_joules_stand_whatever_the_profile(basis):
    facts = Facts("gpu", 60, 30, 5000.0, basis)
    assert device_energy(facts, profile(tdp_w=1)) == device_energy(facts, profile(tdp_w=9999))
    assert device_energy(facts, profile())[::3] == (5000.0, basis)


def test_a_measured_zero_is_a_measurement():
    assert device_energy(Facts("gpu", 60, 30, 0.0, "counter"), profile()).basis == "counter"


def test_the_total_tells_what_share_was_measured():
    measured = device_energy(Facts("gpu", 60, 30, 3000.0, "counter"), profile())
    estimated = device_energy(Facts("gpu", 10, 0), profile(idle_w=100))
    total = estimation.total([measured, estimated])
    assert (total.energy_j, total.measured_share) == (4000.0, 0.75)
    assert total.low_j == pytest.approx(0.95 * 3000 + 0.65 * 1000)
    assert total.high_j == pytest.approx(1.05 * 3000 + 1.35 * 1000)


def test_nothing_measured_nor_used_has_no_measured_share():
    assert estimation.total([]).measured_share == 0.0


def test_the_idle_share_by_hand():
    # 46 W for the half hour that it was not busy, of 46 W for an hour and 354 W more for the other half
    card = profile(idle_w=46)
    assert estimation.idle_share(Facts("gpu", 3600, 1800), card) == pytest.approx(46 * 1800 / 802_800)
    assert estimation.idle_share(Facts("gpu", 3600, 3600), card) == 0
    assert estimation.idle_share(Facts("gpu", 3600, 0), card) == 1
    assert estimation.idle_share(Facts("gpu", 0, 0), card) == 0


def test_the_idle_share_of_measured_energy_does_not_depend_on_the_profile():
    measured = Facts("gpu", 3600, 1800, 5e5, "counter")
    shares = [estimation.idle_share(measured, profile(idle_w=idle_w)) for idle_w in (None, 10, 300)]
    assert shares == pytest.approx(3 * [0.12 * 1800 / (0.12 * 3600 + 0.88 * 1800)])


def test_emissions_by_hand():
    assert estimation.emissions_kg(2.0, 0.5) == 1.0
    assert estimation.emissions_kg(2.0, 0.5, pue=1.5) == 1.5


@pytest.mark.parametrize("pue", [0.99, -1, float("nan"), float("inf")])
def test_a_pue_below_one_is_refused(pue):
    with pytest.raises(ValueError, match="PUE"):
        estimation.emissions_kg(1.0, 0.5, pue)


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf")])
def test_a_factor_that_is_no_finite_number_is_refused(factor):
    with pytest.raises(ValueError, match="factor"):
        estimation.emissions_kg(1.0, factor)


def test_a_measured_idle_power_above_tdp_shares_does_not_turn_load_negative():
    low = profile("cpu", 100, full_load_w=10)
    assert estimation.idle_power_w(low) <= estimation.full_load_power_w(low)


seconds = st.floats(0, 1e7)
shares = st.floats(0, 1)


@given(seconds, seconds, shares, shares)
def test_energy_adds_up_over_intervals(first_s, second_s, first_share, second_share):
    one = Facts("gpu", first_s, first_s * first_share)
    two = Facts("gpu", second_s, second_s * second_share)
    both = Facts("gpu", one.elapsed_s + two.elapsed_s, one.busy_s + two.busy_s)
    assert energy_j(both) == pytest.approx(energy_j(one) + energy_j(two), rel=1e-9, abs=1e-6)


@given(seconds, seconds, shares)
def test_energy_never_falls_with_time(elapsed_s, more_s, share):
    assert energy_j(Facts("gpu", elapsed_s + more_s, elapsed_s * share)) >= energy_j(
        Facts("gpu", elapsed_s, elapsed_s * share)
    )


@given(seconds, shares, shares)
def test_energy_never_falls_with_utilisation(elapsed_s, one, other):
    low, high = sorted((one, other))
    assert energy_j(Facts("cpu", elapsed_s, elapsed_s * high), profile("cpu")) >= energy_j(
        Facts("cpu", elapsed_s, elapsed_s * low), profile("cpu")
    )


@given(seconds, shares)
def test_a_gap_adds_nothing(elapsed_s, share):
    """A gap advances no counter, so the energy after it is the energy before it."""
    before = Facts("gpu", elapsed_s, elapsed_s * share)
    assert energy_j(before._replace()) == energy_j(before)
    assert energy_j(Facts("gpu", 0, 0)) == 0


@given(st.floats(0, 1e9), st.floats(0, 5), st.floats(1, 3))
def test_emissions_are_linear_in_the_factor(energy_kwh, factor, pue):
    once = estimation.emissions_kg(energy_kwh, factor, pue)
    assert estimation.emissions_kg(energy_kwh, 2 * factor, pue) == pytest.approx(2 * once)


@given(st.floats(0, 1e12), st.sampled_from(estimation.BASES))
def test_the_range_holds_the_estimate(joules, basis):
    low, high = estimation.RANGE_BY_BASIS[basis]
    assert low * joules <= joules <= high * joules
