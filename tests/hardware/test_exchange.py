"""Profiles out of the admin as CSV and in again: with a preview, whole or not at all."""

import csv
import io
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from hardware import exchange, loading
from hardware.models import PEAKS, HardwareAlias, HardwareProfile
from runs.models import User
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
        "slug,tdp_w,tdp_w\nacme-one,150,160\n",
        "slug,tdp_w\nacme-one,150\nacme-one,160\n",
        "slug,tdp_w\nacme-one,150,\n",
        "slug,tdp_w\nacme-new,150\n",
        "slug,tdp_w\nno slug at all,150\n",
        "slug,tdp_w\n",
        HEAD + "acme-one,Acme\u202eOne,gpu,180,\n",
        HEAD + "acme-one,Acme\x00One,gpu,180,\n",
        "slug,year\nacme-one,-5\n",
        "slug,year\nacme-one,32767\n",
        "slug,cores\nacme-one,2147483647\n",
        "slug,cores\nacme-one,99999999999999999999\n",
        "slug,fallback\nacme-one,perhaps\n",
        "slug,name\nacme-one," + "x" * 5000 + "\n",
        '"' + "x" * 200_000 + '"\n',
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


def test_a_file_that_is_too_large_is_refused_unread(staff, settings):
    answer = upload(staff, HEAD + "x" * settings.FILE_UPLOAD_MAX_MEMORY_SIZE)
    assert answer.status_code == 413


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "-1", "NaN", "Infinity"])
@pytest.mark.parametrize("column", ["tdp_w", "idle_w", "full_load_w", "memory_gb", *PEAKS])
def test_no_column_takes_a_number_that_no_device_has(staff, column, value):
    answer = upload(staff, f"slug,{column}\nacme-one,{value}\n")
    assert f"acme-one: {column}: " in answer.content.decode()
    assert "confirm_form" not in answer.context


@pytest.mark.parametrize("column", ["memory_gb", *PEAKS])
def test_what_is_no_number_gets_past_neither_the_model_nor_the_database(staff, column):
    profile = HardwareProfile.objects.get(slug="acme-one")
    setattr(profile, column, float("nan"))
    with pytest.raises(ValidationError):
        profile.full_clean()
    with suppress(IntegrityError), transaction.atomic():
        profile.save()
    assert getattr(HardwareProfile.objects.get(slug="acme-one"), column) is None  # SQLite has no nan, it stores nothing


def member_of_staff(*permissions: str) -> Client:
    person = User.objects.create_user("staff@example.org", "a long phrase", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(person)
    return browser


@pytest.mark.parametrize("permissions", [[], ["view_hardwareprofile", "add_hardwareprofile"]])
def test_an_account_that_may_not_change_profiles_imports_nothing(staff, permissions):
    preview = upload(staff, "slug,tdp_w\nacme-one,150\n")
    browser = member_of_staff(*permissions)
    assert upload(browser, "slug,tdp_w\nacme-one,150\n").status_code == 403
    assert confirm(browser, preview).status_code == 403
    assert HardwareProfile.objects.get(slug="acme-one").tdp_w == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "acme-new,Acme New,gpu,90,\n", "have permission to add profiles"),
        (HEAD + "acme-one,Acme One,gpu,90,ACME-1|Acme One PCIe|Zeta\n", "have permission to add aliases"),
        (HEAD + "acme-one,Acme One,gpu,90,ACME-1\n", "have permission to delete aliases"),
    ],
)
def test_to_change_profiles_is_neither_to_add_one_nor_to_change_aliases(staff, text, words):
    browser = member_of_staff("change_hardwareprofile")
    assert words in upload(browser, text).content.decode()
    assert confirm(browser, upload(browser, "slug,tdp_w\nacme-one,150\n")).status_code == 302
    assert HardwareProfile.objects.get(slug="acme-one").tdp_w == 150


def test_anothers_preview_is_not_ones_own(staff):
    preview = upload(staff, "slug,tdp_w\nacme-one,150\n")
    assert confirm(member_of_staff("change_hardwareprofile"), preview).status_code == 400
    assert HardwareProfile.objects.get(slug="acme-one").tdp_w == 200


FORGED = [
    {},
    {"rows": ""},
    {"rows": "x"},
    {"rows": "x" * 300_000},
    {"format": "9"},
    {"format": "abc", "import_file_name": ""},
    {"import_file_name": "/etc/passwd", "original_file_name": "x", "format": "0", "resource": "0"},
]


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_confirmation_is_refused_in_words(staff, forged):
    answer = staff.post(reverse("admin:hardware_hardwareprofile_process_import"), forged)
    assert (answer.status_code, "Upload the file again" in answer.content.decode()) == (400, True)


def test_no_file_is_left_behind_nor_named_by_a_client(staff, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # the system's own is also that of tests beside this one
    with tempfile.NamedTemporaryFile(delete=False) as other:
        other.write(b"slug,tdp_w\nacme-one,150\n")
    before = set(Path(tempfile.gettempdir()).iterdir())
    preview = upload(staff, "slug,tdp_w\nacme-one,160\n")
    named = {"import_file_name": Path(other.name).name, "original_file_name": "x", "format": "0"}
    staff.post(reverse("admin:hardware_hardwareprofile_process_import"), named)
    assert Path(other.name).exists()
    confirm(staff, preview)
    assert set(Path(tempfile.gettempdir()).iterdir()) - before == set()
    Path(other.name).unlink()
    assert HardwareProfile.objects.get(slug="acme-one").tdp_w == 160


def test_an_import_is_bounded_in_what_it_changes_not_in_what_it_holds(staff):
    rows = [HardwareProfile(slug=f"x-{n}", name=f"X {n}", kind="gpu", tdp_w=100) for n in range(2000)]
    HardwareProfile.objects.bulk_create(rows)
    text = staff.get("/admin/hardware/hardwareprofile/export/").content.decode()
    assert "No changes" in upload(staff, text).content.decode()
    few = text.replace("X 7,", "Y 7,")
    assert len(upload(staff, few).context["taken"]) == 1
    assert f"more than {exchange.MAX_CHANGES}" in upload(staff, text.replace(",X ", ",Y ")).content.decode()
    many = "slug,tdp_w\n" + "".join(f"z-{n},1\n" for n in range(exchange.MAX_ROWS + 1))
    assert f"{exchange.MAX_ROWS + 1:,} rows. The limit is {exchange.MAX_ROWS:,}" in upload(staff, many).content.decode()
    aliases = "slug,aliases\nacme-one," + "|".join(f"a{n}" for n in range(exchange.MAX_CHANGES)) + "\n"
    assert f"more than {exchange.MAX_CHANGES}" in upload(staff, aliases).content.decode()


def test_a_spreadsheets_semicolons_are_read(staff):
    confirm(staff, upload(staff, "\ufeffslug;tdp_w\r\nacme-one;150\r\n"))
    assert HardwareProfile.objects.get(slug="acme-one").tdp_w == 150


def test_no_cell_of_an_export_begins_like_a_formula_and_it_comes_in_unchanged(staff):
    HardwareProfile.objects.filter(slug="acme-one").update(note="=HYPERLINK(1)", vendor="'quoted")
    text = staff.get("/admin/hardware/hardwareprofile/export/").content.decode()
    assert not [cell for row in csv.reader(io.StringIO(text)) for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert "No changes" in upload(staff, text).content.decode()


def test_an_alias_moves_from_one_profile_to_another_in_one_file(staff):
    confirm(staff, upload(staff, "slug,aliases\nacme-one,ACME-2\nacme-two,ACME-1\n"))
    assert set(HardwareAlias.objects.values_list("profile__slug", "name")) == {
        ("acme-one", "ACME-2"),
        ("acme-two", "ACME-1"),
    }


def test_the_reason_of_an_import_stands_in_the_history(staff):
    data = SimpleUploadedFile("=cmd.csv", b"slug,tdp_w\nacme-one,150\n")
    confirm(staff, staff.post(IMPORT, {"import_file": data, "reason": "Measured at the wall."}))
    assert HardwareProfile.objects.get(slug="acme-one").history.first().history_change_reason == "Measured at the wall."


def test_an_old_version_can_not_be_put_back_past_the_reason(staff):
    profile = HardwareProfile.objects.get(slug="acme-one")
    profile.save()
    version = profile.history.first().history_id
    at = f"/admin/hardware/hardwareprofile/{profile.pk}/history/{version}/"
    assert staff.post(at, {"tdp_w": "1"}, follow=True).status_code in (302, 404, 200)
    assert HardwareProfile.objects.get(slug="acme-one").tdp_w == 200
