"""From the names that drivers, kernels and people give to profiles: right, or else nothing.

`match_cases.csv` holds real device strings from public logs, each with its source and the slug that it means
(empty: must match nothing); `also_accept` lists other right answers, as where a cut-off name leaves several.
"""

import csv
from pathlib import Path

import pytest

from hardware.models import HardwareProfile
from traceml_agent import catalogue
from traceml_agent.catalogue.candidates import POWER_CLASS
from traceml_agent.catalogue.device_names import part_of_card

LEAST_RIGHT = 0.98
with (Path(__file__).parent / "match_cases.csv").open(newline="", encoding="utf-8") as file:
    CASES = list(csv.DictReader(file))


def slug(name: str, kind: str, **clues) -> str:
    found = catalogue.match(name, kind, **clues)
    return found.slug if found else ""


def accepted(case: dict) -> set[str]:
    return {case["expected_slug"], *filter(None, case["also_accept"].split("|"))}


def is_of_wrong_power(case: dict, found) -> bool:
    """A match of another power class than the device's; a profile where there should be none always is."""
    if found is None or (found.slug in accepted(case)):
        return False
    expected_w = float(case["expected_tdp_watts"] or 0)
    return abs(found.tdp_w - expected_w) > POWER_CLASS * expected_w


def test_real_device_names_find_their_profile_98_times_of_100():
    missed = [case["raw"] for case in CASES if slug(case["raw"], case["kind"]) not in accepted(case)]
    assert len(CASES) > 200
    assert 1 - len(missed) / len(CASES) >= LEAST_RIGHT, missed


def test_no_real_device_name_finds_a_profile_of_another_power_class():
    found = [(case, catalogue.match(case["raw"], case["kind"])) for case in CASES]
    assert [(case["raw"], profile.slug) for case, profile in found if is_of_wrong_power(case, profile)] == []


def test_the_portal_matches_its_own_rows_as_the_agent_matches_the_seed_data(catalogue):
    from traceml_agent import catalogue as seed

    rows = HardwareProfile.objects.catalogue()
    for case in CASES:
        ours, theirs = rows.match(case["raw"], case["kind"]), seed.match(case["raw"], case["kind"])
        assert (ours and ours.slug) == (theirs and theirs.slug), case["raw"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("gpu", {"NVIDIA GeForce RTX 3080": "nvidia-geforce-rtx-3080",
                 "NVIDIA GeForce RTX 3080 Ti": "nvidia-geforce-rtx-3080-ti",
                 "NVIDIA GeForce RTX 3080 Laptop GPU": "nvidia-geforce-rtx-3080-laptop-gpu"}),
        ("gpu", {"NVIDIA GeForce GTX 1660": "nvidia-geforce-gtx-1660",
                 "NVIDIA GeForce GTX 1660 SUPER": "nvidia-geforce-gtx-1660-super",
                 "NVIDIA GeForce GTX 1660 Ti": "nvidia-geforce-gtx-1660-ti"}),
        ("gpu", {"NVIDIA A10": "nvidia-a10", "NVIDIA A10G": "nvidia-a10g",
                 "NVIDIA A100-PCIE-40GB": "nvidia-a100-pcie-40gb", "NVIDIA A100-SXM4-40GB": "nvidia-a100-sxm4-40gb"}),
        ("gpu", {"NVIDIA H100 PCIe": "nvidia-h100-pcie-80gb", "NVIDIA H100 80GB HBM3": "nvidia-h100-sxm5-80gb",
                 "NVIDIA H100 NVL": "nvidia-h100-nvl"}),
        ("gpu", {"Tesla T4": "nvidia-tesla-t4", "NVIDIA T400": "nvidia-t400", "NVIDIA T4G": "nvidia-t4g"}),
        ("gpu", {"NVIDIA L4": "nvidia-l4", "NVIDIA L40": "nvidia-l40", "NVIDIA L40S": "nvidia-l40s"}),
        ("gpu", {"Quadro RTX 6000": "nvidia-quadro-rtx-6000", "NVIDIA RTX A6000": "nvidia-rtx-a6000",
                 "NVIDIA RTX 6000 Ada Generation": "nvidia-rtx-6000-ada-generation"}),
        ("cpu", {"Intel(R) Xeon(R) CPU E5-2680 0 @ 2.70GHz": "intel-xeon-e5-2680",
                 "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz": "intel-xeon-e5-2680-v3",
                 "Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz": "intel-xeon-e5-2680-v4"}),
        ("cpu", {"Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz": "intel-core-i7-8700",
                 "Intel(R) Core(TM) i7-8700K CPU @ 3.70GHz": "intel-core-i7-8700k",
                 "Intel(R) Core(TM) i7-8700T CPU @ 2.40GHz": "intel-core-i7-8700t"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)  # fmt: skip
def test_names_that_nearly_agree_are_told_apart(kind, names):
    assert {name: slug(name, kind) for name in names} == names


@pytest.mark.parametrize(
    "name",
    [
        "Intel Xeon Processor (Skylake, IBRS)",
        "Intel(R) Xeon(R) CPU @ 2.20GHz",
        "QEMU Virtual CPU",
        "QEMU Virtual CPU version 2.5+",
        "Common KVM processor",
        "AMD EPYC Processor",
        "AMD EPYC 7743",
        "",
    ],
)
def test_a_cpu_that_hides_its_model_or_is_not_listed_matches_nothing(name):
    assert slug(name, "cpu") == ""


@pytest.mark.parametrize("name", ["A100", "NVIDIA A100 40GB", "NVIDIA H100 80GB", "RTX 6000", "GPU", "llvmpipe", ""])
def test_a_gpu_name_that_leaves_different_powers_open_matches_nothing(name):
    assert slug(name, "gpu") == ""


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("gpu", {"8x NVIDIA H100-SXM-80GB": "nvidia-h100-sxm5-80gb",
                 "Virtualized NVIDIA H200-SXM-141GB": "nvidia-h200-sxm-141gb",
                 "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-1234-55)": "nvidia-a100-sxm4-40gb",
                 "01:00.0 VGA compatible controller: NVIDIA Corporation AD102 [GeForce RTX 4090] (rev a1)":
                     "nvidia-geforce-rtx-4090",
                 "NVIDIA H100-SXM-80GB-02": "nvidia-h100-sxm5-80gb"}),
        ("gpu", {"NVIDIA Blackwell GPU (B200-SXM-180GB)": "nvidia-b200",
                 "NVIDIA GeForce RTX 4090 (Ada Lovelace)": "nvidia-geforce-rtx-4090",
                 "NVIDIA A100-PCIe-40GB(250W)": "nvidia-a100-pcie-40gb"}),
        ("gpu", {"MSI RTX 4090 GAMING X TRIO": "nvidia-geforce-rtx-4090",
                 "NVIDIA GeForce RTX 3090 Founders Edition": "nvidia-geforce-rtx-3090",
                 "Gigabyte GeForce RTX 3060 Ti Gaming OC 8G": "nvidia-geforce-rtx-3060-ti",
                 "[MAXSUN] MS-Intel Arc Pro B60 Dual 48G Turbo": "intel-arc-pro-b60"}),
        ("npu", {"HPU GAUDI2": "intel-gaudi2", "Intel(R) Gaudi(R) 2 AI Accelerator": "intel-gaudi2",
                 "Intel Gaudi 3 HL-325L OAM": "intel-gaudi3-oam", "Trainium2": "aws-trainium2",
                 "TPU-v5p": "google-tpu-v5p"}),
        ("gpu", {"AMD Instinct MI250 (MCM) OAM AC MBA": "amd-instinct-mi250-gcd",
                 "AMD Instinct MI325 OAM": "amd-instinct-mi325x", "AMD Instinct MI300X VF": "amd-instinct-mi300x"}),
        ("cpu", {"16 vCPU AMD EPYC 7B12": "amd-epyc-7b12",
                 "Model name: AMD EPYC 7A53 64-Core Processor": "amd-epyc-7a53",
                 "2x Intel Xeon Gold 6248 (20 cores)": "intel-xeon-gold-6248",
                 "Virtualized Intel Xeon Platinum 8480+": "intel-xeon-platinum-8480-plus",
                 "Raspberry Pi 4 Model B Rev 1.4": "raspberry-pi-4"}),
        ("cpu", {"AMD EPYC 9654 (Genoa)": "amd-epyc-9654", "AMD EPYC Milan 7763": "amd-epyc-7763",
                 "AMD TURIN 9965": "amd-epyc-9965", "Intel Ice Lake-SP 8368": "intel-xeon-platinum-8368",
                 "Intel(R) Core(TM) i7-1165G7 (Tiger Lake)": "intel-core-i7-1165g7"}),
        ("cpu", {"AMD EPYC 7763 64-Co...": "amd-epyc-7763", "Intel(R) Xeon(R) Platinum 8480+ CPU...":
                     "intel-xeon-platinum-8480-plus"}),
        ("cpu", {"Intel Xeon Platinum 8568Y": "intel-xeon-platinum-8568y-plus",
                 "Intel Xeon 6 Processor 6980P": "intel-xeon-6980p", "AWS Graviton 3": "aws-graviton3",
                 "Intel Xeon E E-2488": "intel-xeon-e-2488",
                 "Intel(R) Xeon(R) Gold 8280 CPU @ 2.60GHz": "intel-xeon-platinum-8280"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)  # fmt: skip
def test_what_lists_people_and_makers_add_to_a_name_tells_no_other_model(kind, names):
    assert {name: slug(name, kind) for name in names} == names


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA GeForce RTX 3070 TiM", "gpu"),
        ("NVIDIA GeForce GTX 660M", "gpu"),
        ("NVIDIA GeForce RTX 580 OEM", "gpu"),
        ("Gigabyte RTX 4090 Mini", "gpu"),
        ("NVIDIA H100 Lite", "gpu"),
        ("AMD Radeon RX 7900", "gpu"),
        ("AMD A10 Micro-6700T APU", "cpu"),
        ("Intel Xeon Platinum 8568", "cpu"),
        ("AMD EPYC 76...", "cpu"),
        ("Intel Core i7-8700 Embedded", "cpu"),
    ],
)
def test_an_addition_that_may_tell_another_model_matches_nothing(name, kind):
    assert slug(name, kind) == ""


@pytest.mark.parametrize(
    ("name", "expected", "part"),
    [
        ("GRID A100-10C", "nvidia-a100-pcie-40gb", 1 / 4),
        ("GRID A100-2-10C", "nvidia-a100-pcie-40gb", 1 / 4),
        ("GRID A800-10C", "nvidia-a800-pcie-40gb", 1 / 4),
        ("NVIDIA A40-12Q", "nvidia-a40", 1 / 4),
        ("A16-4C", "nvidia-a16", 1 / 4),
        ("H100XM-20C", "nvidia-h100-sxm5-80gb", 1 / 4),
        ("L40S-24Q", "nvidia-l40s", 1 / 2),
        ("GRID A100DX-7-80C", "nvidia-a100-sxm4-80gb", 1.0),
    ],
)
def test_a_virtual_gpu_is_its_part_of_its_board(name, expected, part):
    found = catalogue.match(name, "gpu")
    assert (found.slug, part_of_card(name, found.memory_gb)) == (expected, part)


@pytest.mark.parametrize(
    ("machine", "expected", "number"),
    [
        ("trn1.32xlarge", "aws-trainium", 16),
        ("inf2.48xlarge", "aws-inferentia2", 12),
        ("inf1.6xlarge", "aws-inferentia", 4),
        ("dl2q.24xlarge", "qualcomm-cloud-ai-100-pro", 8),
        ("Standard_ND128isr_GB300_v6", "nvidia-gb300", 4),
    ],
)
def test_a_clouds_machine_type_tells_its_accelerators(machine, expected, number):
    found = catalogue.instance(machine)
    assert (found.slug, found.number) == (expected, number)


@pytest.mark.parametrize(
    ("memory_gb", "expected"), [(10, "nvidia-geforce-rtx-3080"), (12, "nvidia-geforce-rtx-3080-12gb")]
)
def test_memory_tells_cards_of_one_name_apart(memory_gb, expected):
    assert slug("NVIDIA GeForce RTX 3080", "gpu", memory_gb=memory_gb) == expected


def test_no_match_takes_the_fallback_of_the_devices_kind():
    fallbacks = {kind: catalogue.profile_for("Foobar X1", kind) for kind in ("cpu", "gpu", "tpu", "npu", "other")}
    assert all(profile.fallback for profile in fallbacks.values())
    assert len({profile.slug for profile in fallbacks.values()}) == len(fallbacks)
