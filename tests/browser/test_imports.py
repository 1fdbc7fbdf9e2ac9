"""The imports page as a person meets it: a large file goes in parts, its preview, confirmation and undo."""

import pytest

from runs.importers import work
from runs.models import Import, Run
from tests.imports.test_storing import slurm

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_large_file_is_sent_in_parts_shown_imported_and_undone(tab, people, catalogue, tmp_path, monkeypatch, theme):
    monkeypatch.setattr(work, "AT_ONCE_BYTES", 16 * 1024 * 1024)  # no process of its own beside the test
    path = tmp_path / "jobs.txt"
    path.write_bytes(slurm(12_000))
    page = tab.sign_in().page
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": 390 if theme == "dark" else 1280, "height": 844})
    assert tab.problems("/imports/") == []
    page.get_by_label("File", exact=True).set_input_files(path)
    page.get_by_label("Which model a run belongs to").fill("m* = model {1}")
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("button", name="Import 12,000 runs").wait_for(timeout=60_000)
    asked = Import.objects.get()
    assert (asked.state, asked.file_name) == ("checked", "jobs.txt")
    assert tab.problems(f"/imports/{asked.pk}/") == []
    page.get_by_role("button", name="Discard").click()
    page.get_by_text("Nothing was stored").wait_for()
    assert (Import.objects.exists(), Run.objects.exists(), tab.complaints) == (False, False, [])
