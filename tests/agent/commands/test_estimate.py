"""`traceml-agent estimate`: offline, from the catalogue."""

import json

import pytest

from traceml_agent import cli


@pytest.fixture
def estimate(capsys):
    def call(*words):
        code = cli.main(["estimate", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_gpus_by_hand(estimate):
    # 8 boards, 60 W idle and 400 W at full load, for 10 h at 0.5: 8 · (60 + 340 · 0.5) W · 10 h
    _, out, _ = estimate("--gpu", "8x NVIDIA A100-SXM4-80GB", "--hours", "10", "--utilisation", "0.5", "--json")
    found = json.loads(out)
    (device,) = found["devices"]
    assert (device["count"], device["basis"]) == (8, "tdp")
    assert found["energy_kwh"] == pytest.approx(8 * (60 + 340 * 0.5) * 10 / 1000)
    assert found["emissions_kg"] == pytest.approx(found["energy_kwh"] * 0.458)
    assert found["energy_low_kwh"] < found["energy_kwh"] < found["energy_high_kwh"]


def test_a_clouds_machine_type_stands_for_its_gpus(estimate):
    (device,) = json.loads(estimate("--instance", "p4d.24xlarge", "--hours", "1", "--json")[1])["devices"]
    assert (device["count"], device["slug"]) == (8, "nvidia-a100-sxm4-40gb")


def test_a_machine_type_that_is_not_known_is_refused(estimate):
    assert estimate("--instance", "z9.mega", "--hours", "1")[0] == 2


def test_two_sockets_and_memory_add_up(estimate):
    words = ("--cpu", "2x AMD EPYC 7742", "--memory-gb", "512", "--hours", "1", "--json")
    found = json.loads(estimate(*words)[1])
    cpu, memory = found["devices"]
    assert cpu["energy_kwh"] == pytest.approx(2 * 0.7 * 225 / 1000)
    assert memory["energy_kwh"] == pytest.approx(512 * 0.12 / 1000)
    assert found["energy_kwh"] == pytest.approx(cpu["energy_kwh"] + memory["energy_kwh"])


def test_for_people_it_says_how_it_matched_and_what_it_assumed(estimate):
    code, out, _ = estimate("--gpu", "NVIDIA A100-SXM4-80GB", "--gpu", "2x T4", "--hours", "3")
    assert code == 0
    assert "1 × NVIDIA A100" in out
    assert "2 × " in out
    assert "Over 3 h at utilisation 1" in out


@pytest.mark.parametrize(
    ("cpu", "cores", "wh"),
    [
        ("Intel Core i9-14900HX", 6, 0.7 * 55 * 6 / 24),
        ("AMD EPYC 7742", 16, 0.7 * 225 * 16 / 64),
        ("Intel Core Ultra 5 125HL", 7, 0.7 * 45 * 7 / 14),
        ("2x AMD EPYC 7742", 96, 0.7 * 225 * 96 / 64),
    ],
)
def test_cores_are_a_part_of_the_processor(estimate, cpu, cores, wh):
    code, out, _ = estimate("--cpu", cpu, "--cores", str(cores), "--hours", "1", "--json")
    assert (code, json.loads(out)["energy_kwh"] * 1000) == (0, pytest.approx(wh))


def test_cores_of_a_processor_whose_number_nobody_knows_are_asked_for(estimate):
    asked = ("--cpu", "2x Intel Xeon Gold 6267C", "--cores", "6", "--hours", "1")
    code, _, err = estimate(*asked)
    assert code == 2
    assert "how many cores the Intel Xeon Gold 6267C has: give them with --of-cores" in err
    code, out, _ = estimate(*asked, "--of-cores", "24")
    assert code == 0
    assert "6 of 48 cores" in out
    found = json.loads(estimate(*asked, "--of-cores", "24", "--json")[1])
    assert found["energy_kwh"] == pytest.approx(6 / 24 * 0.7 * 165 / 1000)


def test_two_processors_of_unknown_cores_are_two(estimate):
    found = json.loads(estimate("--cpu", "2x Intel Xeon Gold 6267C", "--hours", "1", "--json")[1])
    assert found["energy_kwh"] == pytest.approx(2 * 0.7 * 165 / 1000)


@pytest.mark.parametrize(
    ("name", "wh"),
    [("GRID A100-10C", 62.5), ("4x GRID A100-10C", 250), ("NVIDIA H100XM-20C", 175), ("A30 MIG 1g.6gb", 165 / 4)],
)
def test_a_part_of_a_card_takes_its_part_of_the_power(estimate, name, wh):
    found = json.loads(estimate("--gpu", name, "--hours", "1", "--json")[1])
    assert found["energy_kwh"] * 1000 == pytest.approx(wh)


@pytest.mark.parametrize(
    ("name", "slug", "other"),
    [
        ("H100", "nvidia-h100-sxm5-80gb", "NVIDIA H100 PCIe 80GB (350 W)"),
        ("NVIDIA H100", "nvidia-h100-sxm5-80gb", "NVIDIA H100 PCIe 80GB (350 W)"),
        ("A100", "nvidia-a100-sxm4-40gb", "NVIDIA A100 PCIe 40GB (250 W)"),
        ("A100 80GB", "nvidia-a100-sxm4-80gb", "NVIDIA A100 PCIe 80GB (300 W)"),
        ("8x V100", "nvidia-tesla-v100-sxm2-16gb", "NVIDIA Tesla V100 PCIe 16GB (250 W)"),
        ("GTX 1060", "nvidia-geforce-gtx-1060-6gb", "NVIDIA GeForce GTX 1060 (laptop) (80 W)"),
        ("RTX 3080", "nvidia-geforce-rtx-3080", "NVIDIA GeForce RTX 3080 12GB (350 W)"),
    ],
)
def test_a_name_that_leaves_several_open_is_the_common_one_and_says_so(estimate, name, slug, other):
    code, out, _ = estimate("--gpu", name, "--hours", "1")
    assert code == 0
    assert f"could also be {other}" in out
    (device,) = json.loads(estimate("--gpu", name, "--hours", "1", "--json")[1])["devices"]
    assert device["slug"] == slug


@pytest.mark.parametrize("name", ["RTX 4090", "NVIDIA A100-SXM4-80GB", "NVIDIA H100 PCIe", "L40", "T4", "H200"])
def test_a_name_that_leaves_nothing_open_asks_nothing(estimate, name):
    assert "could also be" not in estimate("--gpu", name, "--hours", "1")[1]


@pytest.mark.parametrize(
    ("name", "others"),
    [("A800", ["NVIDIA A800 PCIe 40GB", "NVIDIA A800 SXM4 80GB"]), ("MI300", ["MI300X", "MI300A"])],
)
def test_where_none_is_the_common_one_it_asks_which(estimate, name, others):
    code, _, err = estimate("--gpu", name, "--hours", "1")
    assert code == 2
    assert all(other in err for other in others)


@pytest.mark.parametrize("name", ["GeForce RTX 3081", "no such card"])
def test_a_name_that_is_not_certain_is_refused_with_what_comes_near(estimate, name):
    code, out, err = estimate("--gpu", name, "--hours", "1")
    assert (code, out) == (2, "")
    assert name in err
    assert "similar:" in err


@pytest.mark.parametrize(
    "words",
    [("--hours", "1"), ("--gpu", "T4", "--hours", "1", "--utilisation", "7")],
)
def test_what_can_not_be_is_refused_in_a_sentence(estimate, words):
    code, _, err = estimate(*words)
    assert (code, err.startswith("traceml-agent: ")) == (2, True)


@pytest.mark.parametrize("option", ["--hours", "--cores", "--memory-gb"])
@pytest.mark.parametrize("number", ["-1", "0", "nan", "inf", "1e12", "many"])
def test_a_number_that_can_not_be_is_refused_in_one_line(capsys, option, number):
    with pytest.raises(SystemExit) as ended:
        cli.main(["estimate", "--gpu", "T4", "--hours", "1", option, number])
    err = capsys.readouterr().err
    assert (ended.value.code, err.count("\n"), option in err) == (2, 1, True)
