"""Deleting and having back, by clicks alone; the trash in both themes, on a desk and on a phone."""

import os

import pytest

from runs.accounts.departure import deactivate
from runs.ingest.trash import trash_model, trash_project
from runs.models import ApiToken, Project, TrackedModel

pytestmark = pytest.mark.browser

TRASH = "/settings/teams/vision-lab/trash/"


def test_a_run_is_deleted_and_had_back(tab, run_id):
    page = tab.sign_in().open(f"/runs/{run_id}/")
    page.get_by_role("link", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete run").click()
    page.get_by_text("from the trash").wait_for()
    assert page.locator(f"a[href='/runs/{run_id}/']").count() == 0
    page = tab.open("/settings/teams/vision-lab/")
    page.get_by_role("link", name="Trash").click()
    page.get_by_label("Select the run").check()
    page.get_by_role("button", name="Restore selected").click()
    page.get_by_text("Restored 1 item").wait_for()
    assert tab.open(f"/runs/{run_id}/").locator("h1").count() == 1
    assert tab.complaints == []


def test_something_is_deleted_for_good_after_a_second_click(tab, run_id):
    trash_model(TrackedModel.objects.first())
    page = tab.sign_in().open(TRASH)
    page.get_by_label("Select the model").check()
    page.get_by_text("Delete permanently …").click()
    page.get_by_role("button", name="Delete selected permanently").click()
    page.get_by_text("The trash is empty").wait_for()
    assert tab.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_its_pages_fit_and_keep_nobody_out(tab, people, run_id, theme, width):
    ApiToken.issue(people.project, "laptop", ["ingest"], people.bob)
    model = TrackedModel.objects.get(slug="resnet-50")
    trash_model(model)
    second = Project.make(people.project.team, "A project with a rather long name, as people give them")
    ApiToken.issue(second, "cluster", ["ingest"], people.bob)
    trash_project(second)
    deactivate(people.bob)
    tab.page.set_viewport_size({"width": width, "height": 844})
    tab.page.emulate_media(color_scheme=theme)
    tab.sign_in()
    paths = [TRASH, f"/models/digits/{'w' * 72}/delete/", "/settings/teams/vision-lab/members/"]
    problems = {path: tab.problems(path) for path in paths}
    if folder := os.environ.get("PICTURES"):
        for number, path in enumerate(paths):
            tab.open(path).screenshot(path=f"{folder}/{number}-{theme}-{width}.png", full_page=True)
    assert {path: found for path, found in problems.items() if found} == {}
    assert tab.complaints == []
