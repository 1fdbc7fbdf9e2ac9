"""`manage.py load_catalogue`: repeatable, all or nothing, and never over what an admin edited."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from hardware import loading
from hardware.models import CatalogueState, CloudInstance, HardwareAlias, HardwareProfile
from tests.hardware.seeds import card, write
from traceml_agent import catalogue as seed

pytestmark = pytest.mark.django_db


def aliases(slug: str) -> set[str]:
    return set(HardwareAlias.objects.filter(profile__slug=slug).values_list("name", flat=True))


def test_the_whole_seed_data_loads_with_every_alias(catalogue):
    assert catalogue.added == HardwareProfile.objects.count() > 4000
    assert "GRID A100DX-80C" in aliases("nvidia-a100-sxm4-80gb")


def test_a_second_load_changes_nothing(catalogue):
    version, newest = CatalogueState.current(), HardwareProfile.objects.latest("updated_at").updated_at
    again = loading.load()
    assert (again.added, again.changed, again.left, again.unchanged) == (0, 0, 0, catalogue.added)
    assert CatalogueState.current() == version
    assert HardwareProfile.objects.latest("updated_at").updated_at == newest


def test_a_corrected_power_is_taken_over_as_a_new_revision(tmp_path):
    loading.load(write(tmp_path, card()))
    assert loading.load(write(tmp_path, card(tdp_w="250"))).changed == 1
    profile = HardwareProfile.objects.get()
    assert (profile.tdp_w, profile.revision) == (250, 2)


def test_peaks_come_from_a_file_of_their_own_with_their_source(tmp_path):
    write(tmp_path, card(), peaks=["acme-one,312,,1555,Acme data sheet"])
    loading.load(tmp_path)
    profile = HardwareProfile.objects.get()
    assert (profile.bf16_tflops, profile.fp8_tflops, profile.memory_gb_per_s) == (312, None, 1555)
    assert profile.peaks_source == "Acme data sheet"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("acme-two,312,,,x", "there is no profile acme-two"),
        ("acme-one,many,,,x", "line 2"),
        ("acme-one,-1,,,x", "0.001"),
    ],
)
def test_peaks_that_can_not_be_are_refused_with_their_place(tmp_path, line, said):
    write(tmp_path, card(), peaks=[line])
    with pytest.raises(loading.BrokenFile, match=said):
        loading.load(tmp_path)


def test_every_peak_of_the_seed_data_names_its_source(catalogue):
    known = HardwareProfile.objects.exclude(bf16_tflops=None, fp8_tflops=None, memory_gb_per_s=None)
    assert known.count() > 300
    assert not known.filter(peaks_source="").exists()


@pytest.mark.parametrize(
    ("slug", "bf16_tflops", "fp32_tflops"),
    [
        ("amd-instinct-mi300x", 1307.4, 163.4),
        ("amd-instinct-mi350x", 2306.9, 144.2),
        ("amd-instinct-mi355x", 2516.6, 157.3),
        ("nvidia-h100-sxm5-80gb", 989.4, 66.91),
        ("nvidia-b200", 2250, 75),
    ],
)
def test_peaks_are_those_that_models_compute_at_and_single_precision_is_not_double(
    catalogue, slug, bf16_tflops, fp32_tflops
):
    profile = HardwareProfile.objects.get(slug=slug)
    assert (profile.bf16_tflops, profile.peak_tflops) == (bf16_tflops, fp32_tflops)


def test_a_corrected_note_is_taken_over_without_a_new_revision(tmp_path):
    loading.load(write(tmp_path, card()))
    loading.load(write(tmp_path, card(note="Sold in two lengths.")))
    profile = HardwareProfile.objects.get()
    assert (profile.note, profile.revision) == ("Sold in two lengths.", 1)


def test_an_admins_edit_survives_a_reload(tmp_path):
    loading.load(write(tmp_path, card()))
    HardwareProfile.objects.update(tdp_w=180, edited=True)
    report = loading.load(write(tmp_path, card(tdp_w="250", aliases="Acme Uno")))
    assert (report.changed, report.left) == (0, 1)
    assert HardwareProfile.objects.get().tdp_w == 180
    assert aliases("acme-one") == {"ACME-1", "Acme One PCIe"}


def test_a_reload_brings_the_seeds_aliases_in_step(tmp_path):
    loading.load(write(tmp_path, card()))
    assert loading.load(write(tmp_path, card(aliases="ACME-1|Acme Uno"))).changed == 1
    assert aliases("acme-one") == {"ACME-1", "Acme Uno"}


def test_an_alias_that_an_admin_gave_to_another_profile_stays_there(tmp_path):
    loading.load(write(tmp_path, card(aliases=""), card(slug="acme-two", name="Acme Two", aliases="")))
    HardwareAlias.objects.create(profile=HardwareProfile.objects.get(slug="acme-two"), name="ACME-1")
    loading.load(write(tmp_path, card(aliases="acme-1"), card(slug="acme-two", name="Acme Two", aliases="")))
    assert aliases("acme-two") == {"ACME-1"}
    assert aliases("acme-one") == set()


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (card(slug="acme-two", tdp_w="lots"), "lots"),
        (card(slug="acme-two", aliases="", tdp_w="nan"), "nan"),
        (card(slug="acme-two", aliases="", tdp_w="-5"), "tdp_w"),
        (card(slug="acme-two", aliases="", tdp_w="0"), "tdp_w"),
        (card(slug="acme-two", aliases="", tdp_w=""), "tdp_w"),
        (card(slug="acme-two", aliases="", idle_w="300"), "idle_w"),
        (card(slug="acme-two", aliases="", kind="toaster"), "kind"),
        (card(slug="acme two", aliases=""), "slug"),
        (card(slug="acme-two", aliases="A" * 201), "name"),
        (card(aliases=""), "acme-one is already defined at accelerators.csv, line 2"),
        (card(slug="acme-two", aliases="acme-1"), "the alias acme-1 belongs to acme-one"),
    ],
    ids=[
        "word",
        "nan",
        "negative",
        "zero",
        "no TDP",
        "idle above full load",
        "kind",
        "slug",
        "alias",
        "twice",
        "taken",
    ],
)
def test_a_broken_row_is_refused_with_its_line_and_nothing_is_loaded(tmp_path, broken, complaint):
    write(tmp_path, card(), broken)
    with pytest.raises(CommandError, match=r"Nothing was loaded\. accelerators\.csv, line 3: ") as refusal:
        call_command("load_catalogue", directory=tmp_path)
    assert complaint in str(refusal.value)
    assert not HardwareProfile.objects.exists()


@pytest.mark.parametrize("text", ["slug,name\nx,y\n", "", "\x00"], ids=["other columns", "empty", "no text"])
def test_a_file_that_is_no_seed_file_is_refused_whole(tmp_path, text):
    (write(tmp_path, card()) / "cpus.csv").write_text(text)
    with pytest.raises(CommandError, match=r"Nothing was loaded\. cpus\.csv, line \d"):
        call_command("load_catalogue", directory=tmp_path)
    assert not HardwareProfile.objects.exists()


def test_a_missing_file_is_refused_by_name(tmp_path):
    (write(tmp_path, card()) / "generic.csv").unlink()
    with pytest.raises(CommandError, match=r"generic\.csv"):
        call_command("load_catalogue", directory=tmp_path)
    assert not HardwareProfile.objects.exists()


def test_the_command_says_what_it_did(tmp_path, capsys):
    call_command("load_catalogue", directory=write(tmp_path, card()))
    assert capsys.readouterr().out.startswith("Catalogue: 1 added, 0 changed")


def test_clouds_machine_types_are_loaded_and_an_admins_edit_survives(catalogue):
    assert CloudInstance.objects.count() > 200
    CloudInstance.objects.filter(name="p4d.24xlarge").update(count=9, edited=True)
    loading.load(Path(seed.DATA))
    assert CloudInstance.objects.get(name="p4d.24xlarge").count == 9


def test_a_machine_type_of_a_device_that_there_is_not_is_refused_with_its_line(tmp_path, db):
    write(tmp_path, card())
    (tmp_path / seed.INSTANCE_FILE).write_text("provider,instance,device_slug,count,source\naws,x1,acme-none,1,\n")
    with pytest.raises(loading.BrokenFile, match=r"instances\.csv, line 2: there is no profile acme-none"):
        loading.load(tmp_path)
    assert not HardwareProfile.objects.exists()
