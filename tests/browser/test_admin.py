"""Whoever looks after hardware profiles, by clicks: finds unknown devices, brings in a file, reads why not."""

import os

import pytest
from django.contrib.auth.models import Permission

from runs.models import Membership, User
from tests import people as cast
from tests.wire import sample

pytestmark = pytest.mark.browser
ACME = {"key": "gpu-0", "kind": "gpu", "name": "Acme Thinker 9", "uuid": "GPU-9"}


@pytest.fixture
def carer(people) -> User:
    """Staff with the permissions of the catalogue alone."""
    person = User.objects.create_user("carer@example.org", cast.PASSWORD, is_staff=True)
    Membership.objects.create(team=people.project.team, user=person, role=Membership.Role.VIEWER)
    models = ("hardwareprofile", "hardwarealias", "unknowndevice")
    person.user_permissions.set(Permission.objects.filter(content_type__model__in=models))
    return person


def shown(tab, name: str) -> None:
    if folder := os.environ.get("TRACEML_PICTURES"):
        tab.page.screenshot(path=f"{folder}/admin-{name}.png", full_page=True)


def test_a_carer_brings_in_a_file_and_reads_what_it_would_change(tab, run_id, wire, carer, tmp_path):
    wire.whole_run([sample("gpu-0", 3600, 1800)], [ACME])
    tab.sign_in(carer.email)
    page = tab.open("/admin/")
    shown(tab, "index")
    assert page.get_by_role("link", name="3 unknown devices").is_visible()
    assert not page.get_by_role("link", name="Users").is_visible()
    page.get_by_role("link", name="Hardware profiles").first.click()
    assert not page.get_by_text("Audit entries").is_visible()  # nor anything else that is not theirs to look at
    shown(tab, "list")
    page.get_by_role("link", name="Import CSV").click()
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text("slug;tdp_watts\nnvidia-a100-sxm4-40gb;500\n")
    right.write_text("slug;tdp_w;full_load_w\nnvidia-a100-sxm4-40gb;500;500\n")
    page.get_by_label("CSV file").set_input_files(wrong)
    page.get_by_role("button", name="Preview changes").click()
    assert page.get_by_text("Unknown column: tdp_watts").is_visible()
    shown(tab, "refused")
    page.get_by_label("CSV file").set_input_files(right)
    page.get_by_role("button", name="Preview changes").click()
    assert page.get_by_text("tdp_w 400.0 → 500.0").is_visible()
    shown(tab, "preview")
    page.get_by_role("button", name="Import 1 profile").click()
    page.get_by_text("Imported: 0 new, 1 changed.").wait_for()
    shown(tab, "done")
    assert [each for each in tab.complaints if "favicon" not in each] == []
