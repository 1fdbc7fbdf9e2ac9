"""Profiles out of the admin as CSV and in again: with a preview, whole or not at all."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from hardware import exchange, loading
from hardware.models import HardwareAlias, HardwareProfile
from tests.hardware.seeds import card, write

IMPORT = "/admin/hardware/hardwareprofile/import/"
HEAD = "slug,name,kind,tdp_w,aliases\n"


@pytest.fixture
def staff(admin_client, tmp_path):
    write(tmp_path, card(), card(slug="acme-two", name="Acme Two", aliases="ACME-2"))
    loading.load(tmp_path)
    return admin_client


def upload(client, content: str | bytes):
    data = content.encode() if isinstance(content, str) else content
    return client.post(IMPORT, {"import_file": SimpleUploadedFile("profiles.csv", data), "format": "0", "resource": ""})


def confirm(client, preview):
    form = preview.context["confirm_form"]
    return client.post(reverse("admin:hardware_hardwareprofile_process_import"), form.initial)


def test_an_export_holds_every_profile_with_its_aliases_and_comes_in_again_unchanged(staff):
    answer = staff.get("/admin/hardware/hardwareprofile/export/")
    text = answer.content.decode()
    rows = {row["slug"]: row for row in csv.DictReader(io.StringIO(text))}
    assert set(rows) == {"acme-one", "acme-two"}
    assert rows["acme-one"]["aliases"] == "ACME-1|Acme One PCIe"
    assert confirm(staff, upload(staff, text)).status_code == 302
    assert set(HardwareAlias.objects.values_list("name", flat=True)) == {"ACME-1", "Acme One PCIe", "ACME-2"}


def test_a_preview_saves_nothing_and_confirmed_it_is_taken(staff):
    preview = upload(staff, HEAD + "acme-one,Acme One,gpu,180,ACME-1|Zeta\nacme-new,Acme New,gpu,90,\n")
    assert HardwareProfile.objects.get(slug="acme-one").tdp_w == 200
    assert confirm(staff, preview).status_code == 302
    changed = HardwareProfile.objects.get(slug="acme-one")
    assert (changed.tdp_w, changed.revision, changed.edited) == (180, 2, True)
    assert set(changed.aliases.values_list("name", flat=True)) == {"ACME-1", "Zeta"}
    assert HardwareProfile.objects.catalogue().match("Acme New", "gpu").slug == "acme-new"


def test_columns_that_a_file_leaves_out_stay_as_they_are(staff):
    confirm(staff, upload(staff, "slug,tdp_w\nacme-one,150\n"))
    profile = HardwareProfile.objects.get(slug="acme-one")
    assert (profile.tdp_w, profile.name, profile.aliases.count()) == (150, "Acme One", 2)


@pytest.mark.parametrize(
    "text",
    [
        "slug,tdp_watts\nacme-one,150\n",
        "name,tdp_w\nAcme One,150\n",
        HEAD + "acme-one,Acme One,gpu,180,\nacme-two,Acme Two,gpu,-5,\n",
        HEAD + "acme-one,Acme One,gpu,180,\nacme-two,Acme Two,gpu,nan,\n",
        HEAD + "acme-one,Acme One,gpu,180,\nacme-two,Acme Two,gpu,1e9,\n",
        HEAD + "acme-one,Acme One,gpu,180,\nacme-two,Acme Two,toaster,100,\n",
        HEAD + "acme-one,Acme One,gpu,180,\nacme-two,Acme Two,gpu,many,\n",
        HEAD + "acme-one,Acme One,gpu,180,ACME-2\n",
        "",
        "\x00\x01\x02",
        b"\xff\xfe\xfa slug",
        '"slug,tdp_w\nacme',
    ],
)
def test_a_file_that_can_not_be_right_is_refused_whole_and_said_why(staff, text):
    answer = upload(staff, text)
    assert answer.status_code == 200
    assert "confirm_form" not in answer.context or answer.context["confirm_form"] is None
    assert set(HardwareProfile.objects.values_list("tdp_w", flat=True)) == {200}


def test_a_file_that_is_too_large_is_refused_unread(staff):
    answer = upload(staff, HEAD + "x" * exchange.MAX_FILE_BYTES)
    assert "larger than 4 MiB" in answer.content.decode()
