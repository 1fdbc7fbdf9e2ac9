"""The physics: cases worked by hand, and properties that hold for any numbers."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traceml_agent import catalogue, estimation
from traceml_agent.catalogue.device_names import part_of_card
from traceml_agent.estimation import Facts, device_energy

NAMES = {"gpu": "NVIDIA A100-SXM4-40GB", "cpu": "AMD EPYC 7742", "ram": "Memory, per GB"}


def profile(kind="gpu", tdp_w=400.0, **more):
    """A profile of known TDP alone: of a data-centre card, a server's processor or memory."""
    unknown = {"idle_w": None, "full_load_w": None, "cores": None, "memory_gb": None}
    known = {"kind": kind, "name": NAMES.get(kind, ""), "tdp_w": tdp_w, "unit": "device", "fallback": False}
    return SimpleNamespace(**known | {"confidence": "datasheet"} | unknown | more)


def energy_j(facts: Facts, of=None) -> float:
    return device_energy(facts, of or profile()).energy_j


def test_a_gpu_of_known_idle_power_by_hand():
    # 46 W idle for an hour, 354 W more for half of it: 165.6 kJ + 637.2 kJ
    assert energy_j(Facts("gpu", 3600, 1800), profile(idle_w=46)) == pytest.approx(802_800)


def test_a_gpu_of_known_tdp_alone_by_hand():
    # idle 13 % of 400 W is 52 W; full load is the board's 400 W
    assert energy_j(Facts("gpu", 100, 50)) == pytest.approx(52 * 100 + 348 * 50)


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
    # 64 GB, a quarter of them used for an hour, 0.12 W a GB
    memory = profile("ram", 0.12, idle_w=0, full_load_w=0.12, unit="gb")
    assert energy_j(Facts("ram", 3600, 900, memory_gb=64), memory) == pytest.approx(64 * 0.12 * 900)


def test_a_mig_slice_takes_its_share_of_the_board():
    whole, slice_ = Facts("gpu", 60, 60), Facts("gpu", 60, 60, share=2 / 7)
    assert energy_j(slice_) == pytest.approx(energy_j(whole) * 2 / 7)


CORE_I9 = {"kind": "cpu", "name": "Intel Core i9-14900HX", "tdp_w": 55}  # a profile that does not tell its 24 cores


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
    assert total.high_j == pytest.approx(1.05 * 3000 + 1.5 * 1000)


def test_nothing_measured_nor_used_has_no_measured_share():
    assert estimation.total([]).measured_share == 0.0


def test_the_idle_share_by_hand():
    # 46 W for the half hour that it was not busy, of 46 W for an hour and 354 W more for the other half
    card = profile(idle_w=46)
    assert estimation.idle_share(Facts("gpu", 3600, 1800), card) == pytest.approx(46 * 1800 / 802_800)
    assert estimation.idle_share(Facts("gpu", 3600, 3600), card) == 0
    assert estimation.idle_share(Facts("gpu", 3600, 0), card) == 1
    assert estimation.idle_share(Facts("gpu", 0, 0), card) == 0


@pytest.mark.parametrize(
    ("card", "idle_w"),
    [
        ({"idle_w": 46}, 46),
        ({}, 0.13 * 400),
        ({"name": "NVIDIA GeForce RTX 4090"}, 0.036 * 400),
        ({"name": "AMD Radeon RX 7900 XTX"}, 0.036 * 400),
        ({"kind": "tpu", "name": "Google TPU v5p"}, 0.47 * 400),
    ],
)
def test_the_idle_share_of_measured_energy_is_by_the_cards_own_idle_power_else_by_its_class(card, idle_w):
    measured = Facts("gpu", 3600, 1800, 5e5, "counter")
    share = idle_w * 1800 / (idle_w * 3600 + (400 - idle_w) * 1800)
    assert estimation.idle_share(measured, profile(**card)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("name", "full_load_w"),
    [
        ("Intel Xeon Gold 6346", 70),
        ("AMD EPYC 9654", 70),
        ("AWS Graviton3", 70),
        ("Intel Core i9-13900K", 70),
        ("AMD Ryzen 7 7840HS", 70),
        ("AMD Ryzen Threadripper 1950X", 70),
        ("Apple M2 Max", 70),
    ],
)
def test_a_processor_at_full_load_draws_seven_tenths_of_its_tdp(name, full_load_w):
    assert estimation.full_load_power_w(profile("cpu", 100, name=name)) == pytest.approx(full_load_w)


def range_w(of, utilisation: float = 1.0, **facts) -> tuple[float, float]:
    energy = device_energy(Facts(of.kind, 1, utilisation, **facts), of)
    return energy.low_j, energy.high_j


def test_the_range_of_an_idle_processor_reaches_nothing_and_four_times_its_share():
    """Measured: 0.3 % of TDP in deep sleep states, 59 % where they are switched off."""
    assert range_w(profile("cpu", 100), utilisation=0) == pytest.approx((0, 60))


def test_the_range_of_a_terabyte_of_memory_holds_what_servers_draw():
    memory = catalogue.profile_for("Memory", "ram")
    low, high = range_w(memory, memory_gb=1000)
    assert energy_j(Facts("ram", 1, 1, memory_gb=1000), memory) == pytest.approx(120)
    assert low < 40 < 130 < 372 < high


def test_the_range_of_an_unknown_gpu_reaches_the_largest_cards():
    unknown = catalogue.profile_for("Acme Thinker 9", "gpu")
    low, high = range_w(unknown)
    assert (low, high) == pytest.approx((40, 1000))


@pytest.mark.parametrize("utilisation", [0.0, 0.5, 1.0])
def test_a_profile_of_low_confidence_has_a_wider_range(utilisation):
    sure, unsure = (range_w(profile(confidence=each), utilisation) for each in ("database", "estimate"))
    assert unsure[0] < sure[0] < sure[1] < unsure[1]


def test_the_power_that_a_profile_states_itself_has_a_narrower_range():
    assert range_w(profile(idle_w=52), 0) == pytest.approx((0.65 * 52, 1.5 * 52))
    assert range_w(profile(), 0) == pytest.approx((0.3 * 52, 2.5 * 52))


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


@given(st.floats(0, 1e12), st.sampled_from(estimation.MEASURED))
def test_the_range_holds_what_was_measured(joules, basis):
    energy = device_energy(Facts("gpu", 1, 1, joules, basis), profile())
    assert energy.low_j <= joules <= energy.high_j


@given(seconds, shares, st.sampled_from(["", "estimate"]), st.sampled_from(["gpu", "cpu", "ram", "tpu", "other"]))
def test_the_range_holds_the_estimate(elapsed_s, share, confidence, kind):
    energy = device_energy(Facts(kind, elapsed_s, elapsed_s * share), profile(kind, confidence=confidence))
    assert energy.low_j <= energy.energy_j <= energy.high_j


@given(seconds, seconds, shares, shares)
def test_the_range_adds_up_over_intervals(first_s, second_s, first_share, second_share):
    one = device_energy(Facts("gpu", first_s, first_s * first_share), profile())
    two = device_energy(Facts("gpu", second_s, second_s * second_share), profile())
    busy_s = first_s * first_share + second_s * second_share
    both = device_energy(Facts("gpu", first_s + second_s, busy_s), profile())
    assert both.low_j == pytest.approx(one.low_j + two.low_j, rel=1e-9, abs=1e-6)
    assert both.high_j == pytest.approx(one.high_j + two.high_j, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("basis", [estimation.REPORTED, estimation.MODELLED])
def test_energy_that_another_tool_calculated_is_kept_and_does_not_count_as_measured(basis):
    facts = Facts("gpu", 10.0, None, energy_j=100.0, basis=basis)
    energy = device_energy(facts, profile())
    low, high = estimation.RANGE_BY_BASIS[basis]
    assert energy == (100.0, 100.0 * low, 100.0 * high, basis)
    assert estimation.total([energy]).measured_share == 0.0


def test_a_method_that_states_its_own_range_keeps_it():
    facts = Facts("other", 10.0, None, 100.0, estimation.MODELLED, range_low=0.5, range_high=2.5)
    assert device_energy(facts, profile())[1:3] == (50.0, 250.0)
