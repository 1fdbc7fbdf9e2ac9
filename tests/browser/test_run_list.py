"""The run list as people use it: find, sort, look, keep, change, compare, take away, and watch what runs."""

import pytest

from runs.dashboards.run_order import totals_of
from runs.models import Run
from tests.wire import A100, ago, batch, sample

pytestmark = pytest.mark.browser

CARD = A100 | {"basis": "counter"}
#: So that nothing waits for the three seconds between two polls.
HURRY = (
    "const later = setTimeout; window.setTimeout = (work, ms, ...more) => later(work, ms >= 3000 ? 100 : ms, ...more);"
)


@pytest.fixture
def runs(wire) -> dict[str, str]:
    """The ids of three completed runs by their names; `two` used the most."""
    made = {}
    for hours, (name, kwh) in enumerate([("three", 2.0), ("two", 3.0), ("one", 1.0)], start=1):
        about = {"model": "bert", "tags": ["sweep"], "started_at": ago(hours=hours), "params": {"lr": 0.1 * hours}}
        made[name] = wire.whole_run([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [CARD], name=name, **about)
    return made


def names(page) -> list[str]:
    return page.locator("#found tbody th > a").all_inner_texts()


@pytest.fixture
def growing(wire) -> str:
    run_id = wire.start(name="growing", model="bert", tags=["sweep"], flush_s=30)
    wire.send(run_id, "b-1", batch([sample("gpu-0", 60, 30, 3600)], [CARD]))
    return run_id


def test_a_run_grows_on_the_list_and_the_choice_and_the_focus_stay(tab, wire, runs, growing):
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open("/runs/")
    row = page.locator(f"#run-{growing}")
    row.get_by_role("checkbox").check()
    row.get_by_role("link", name="growing").focus()
    wire.send(growing, "b-2", batch([sample("gpu-0", 120, 60, 3.6e6)], [CARD]))
    row.get_by_text("2 min", exact=True).wait_for()
    assert float(row.locator("data").first.get_attribute("value")) == Run.objects.get(run_id=growing).energy_kwh
    assert row.get_by_role("checkbox").is_checked()
    assert page.evaluate("document.activeElement.innerText") == "growing"
    energy_kwh = totals_of(Run.objects.all()).energy_kwh
    page.locator(f'#total data[value="{energy_kwh!r}"]').wait_for()


def test_the_list_says_that_more_runs_came_and_stops_asking_when_none_runs(tab, wire, growing):
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open("/runs/")
    wire.start(name="late")
    page.get_by_text("One more run matches by now.").wait_for()
    wire.finish(growing)
    page.locator(f"#run-{growing}").get_by_text("Completed").wait_for()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(500)
    assert asked == []
    page.get_by_role("link", name="Show", exact=True).click()
    page.wait_for_load_state()
    assert names(page) == ["late", "growing"]
    assert tab.complaints == []
