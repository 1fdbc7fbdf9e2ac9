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
    assert found["emissions_kg"] == pytest.approx(found["energy_kwh"] * 0.47294)
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
    assert memory["energy_kwh"] == pytest.approx(512 * 0.3725 / 1000)
    assert found["energy_kwh"] == pytest.approx(cpu["energy_kwh"] + memory["energy_kwh"])


def test_for_people_it_says_how_it_matched_and_what_it_assumed(estimate):
    code, out, _ = estimate("--gpu", "NVIDIA A100-SXM4-80GB", "--gpu", "2x T4", "--hours", "3")
    assert code == 0
    assert "1 × NVIDIA A100" in out
    assert "2 × " in out
    assert "Over 3 h at utilisation 1" in out


@pytest.mark.parametrize("name", ["GeForce RTX 3081", "no such card"])
def test_a_name_that_is_not_certain_is_refused_with_what_comes_near(estimate, name):
    code, out, err = estimate("--gpu", name, "--hours", "1")
    assert (code, out) == (2, "")
    assert name in err
    assert "near:" in err


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
