"""The bundled catalogue as an agent asks it: the part that is read for one name answers as the whole would."""

import csv
from pathlib import Path

import pytest

from traceml_agent import catalogue

CASES = Path(__file__).parents[2] / "hardware" / "match_cases.csv"
NAMES = [(row["raw"], row["kind"]) for row in csv.DictReader(CASES.open(newline=""))]
NAMES += [("AMD EPYC", "cpu"), ("", "cpu"), ("", "gpu"), ("Orin", "gpu"), ("NVIDIA TITAN Xp", "gpu"), ("7", "cpu")]


def slug_of(match):
    return match.profile.slug if match else None


def test_a_part_answers_as_the_whole_does():
    differ = [
        (name, kind)
        for name, kind in NAMES
        if slug_of(catalogue._part(name, kind == "cpu").explain(name, kind))
        != slug_of(catalogue.seed(kind == "cpu").explain(name, kind))
    ]
    assert differ == []


def test_who_asks_about_many_names_gets_the_whole():
    for name, kind in NAMES:
        catalogue.match(name, kind)
    assert len(catalogue._parts) <= catalogue.MOST_PARTS


@pytest.mark.parametrize("kind", ["cpu", "gpu", "tpu", "npu", "other"])
def test_an_unknown_device_takes_its_kinds_fallback(kind):
    assert catalogue.profile_for("no such thing", kind).fallback


def test_memory_has_one_profile_whatever_it_is_called():
    assert catalogue.profile_for("DDR5", "ram").slug == catalogue.MEMORY_SLUG


@pytest.mark.parametrize(
    ("name", "memory_gb", "slug"),
    [
        ("GRID A100-10C", 10.7, "nvidia-a100-pcie-40gb"),
        ("NVIDIA A100DX-2-20C", 21.5, "nvidia-a100-sxm4-80gb"),
        ("GRID V100D-8Q", 8.6, "nvidia-tesla-v100-pcie-32gb"),
        ("NVIDIA L40S-12Q", 12.9, "nvidia-l40s"),
        ("H100XM-20C", 21.5, "nvidia-h100-sxm5-80gb"),
        ("NVIDIA RTX Pro 6000 Blackwell DC-24Q", 25.8, "nvidia-rtx-pro-6000-blackwell-server-edition"),
        ("GRID X999-10C", 10.7, "generic-gpu"),
    ],
)
def test_a_vgpu_is_a_part_of_its_card_whatever_memory_the_driver_reports(name, memory_gb, slug):
    assert catalogue.profile_for(name, "gpu", memory_gb=memory_gb).slug == slug


def test_a_match_says_how_it_was_found():
    assert catalogue.explain("NVIDIA A100-SXM4-80GB", "gpu").how in ("name", "alias")
    assert catalogue.explain("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "cpu").profile.tdp_w == 120
