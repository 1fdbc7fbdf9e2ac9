"""The run list as people use it: find, sort, look, keep, change, compare, take away, and watch what runs."""

import pytest

from runs.models import Project, Run
from runs.selection.run_filters import RunFilters
from runs.selection.run_totals import kept_totals
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
    for hours, name, kwh in [(3, "one", 1.0), (2, "two", 3.0), (1, "three", 2.0)]:
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
    energy_kwh = kept_totals(list(Project.objects.values_list("pk", flat=True)), RunFilters())[0].energy_kwh
    page.locator(f'#total data[value="{energy_kwh!r}"]').wait_for()


def test_the_list_says_that_more_runs_came_and_stops_asking_when_none_runs(tab, wire, growing):
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open("/runs/")
    wire.start(name="late")
    page.get_by_text("1 new run matches.").wait_for()
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


def test_a_run_grows_on_the_overview_too(tab, wire, growing):
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open("/")
    wire.send(growing, "b-2", batch([sample("gpu-0", 7200, 3600, 3.6e6)], [CARD]))
    page.get_by_role("row", name="growing").get_by_text("2 h", exact=True).wait_for()
    assert tab.complaints == []


def test_find_a_run_and_take_the_filter_off_again(tab, runs):
    page = tab.sign_in().open("/runs/")
    page.keyboard.press("/")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/?q=two**")
    assert names(page) == ["two"]
    assert page.locator("#total").inner_text().startswith("1 of 3 runs")
    page.get_by_role("list", name="Active filters").get_by_role("link").click()
    page.wait_for_load_state()
    assert names(page) == ["three", "two", "one"]
    assert tab.complaints == []


def test_sort_by_two_columns_with_the_keyboard_alone(tab, runs):
    page = tab.sign_in().open("/runs/")
    page.get_by_role("columnheader", name="Energy").get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=-energy**")
    assert names(page) == ["two", "three", "one"]
    page.get_by_role("columnheader", name="Kind").get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=-kind%2C-energy**")
    assert names(page) == ["two", "three", "one"]
    head = page.get_by_role("columnheader", name="Energy")
    assert head.locator("sup").inner_text() == "2"
    assert page.locator("[aria-sort=descending]").count() == 2


def test_choose_columns_save_the_view_and_open_it_again(tab, runs):
    page = tab.sign_in().open("/runs/?q=two")
    page.get_by_text("More filters, columns and groups").click()
    page.get_by_role("checkbox", name="Tags").check()
    page.get_by_role("checkbox", name="Duration").uncheck()
    page.get_by_label("Parameter columns").fill("lr")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**column=tags**")
    heads = page.locator("#found thead th").all_inner_texts()
    assert [head.split()[0] for head in heads] == ["Run", "State", "Kind", "Tags", "lr", "Started", "Energy", "CO₂e"]
    page.get_by_text("Save this view").click()
    page.get_by_label("Name", exact=True).fill("Two with tags")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved as").wait_for()
    tab.open("/runs/")
    page.get_by_role("link", name="Two with tags").click()
    page.wait_for_url("**column=tags**")
    assert names(page) == ["two"]
    assert page.locator("#found thead th").all_inner_texts() == heads
    assert tab.complaints == []


def choose(page, *ids: str) -> None:
    for run_id in ids:
        page.locator(f"#run-{run_id}").get_by_role("checkbox").check()


def test_tag_two_runs_at_once_and_stay_where_one_was(tab, runs):
    page = tab.sign_in().open("/runs/?sort=name&column=tags")
    assert page.get_by_role("button", name="Add tag").is_disabled()
    choose(page, runs["one"], runs["two"])
    assert page.get_by_text("2 runs selected:").is_visible()
    page.get_by_role("textbox", name="Tag", exact=True).last.fill("keep")
    page.get_by_role("button", name="Add tag").click()
    page.get_by_text("Tagged 2 runs.").wait_for()
    assert page.url.endswith("/runs/?sort=name&column=tags")
    page.locator(f"#run-{runs['one']}").get_by_role("link", name="keep").click()
    page.wait_for_url("**tag=keep**")
    assert sorted(names(page)) == ["one", "two"]


def test_compare_two_runs_and_come_back_to_the_list(tab, runs):
    page = tab.sign_in().open("/runs/?sort=-energy")
    choose(page, runs["two"], runs["three"])
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare/?run=**")
    assert page.locator("#figures thead").get_by_role("link", name="two", exact=True).is_visible()
    page.go_back()
    page.wait_for_url("**/runs/?sort=-energy")
    assert names(page) == ["two", "three", "one"]
    assert page.get_by_text("2 runs selected:").is_visible()


def test_export_what_matches_as_csv(tab, runs):
    page = tab.sign_in().open("/runs/?q=two")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("run_id,name,")
    assert [line.split(",")[1] for line in lines[1:]] == ["two"]


def test_an_address_sent_on_and_the_back_button_give_the_same_list(tab, runs, context):
    page = tab.sign_in().open("/runs/")
    page.get_by_role("columnheader", name="Energy").get_by_role("link").click()
    page.wait_for_url("**sort=-energy**")
    page.get_by_role("combobox", name="Kind").select_option("training")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.wait_for_url("**kind=training**")
    shown, totals = names(page), page.locator("#total").inner_text()
    other = context.new_page()
    other.goto(page.url)
    assert (names(other), other.locator("#total").inner_text()) == (shown, totals)
    page.go_back()
    assert "kind=" not in page.url
    assert names(page) == ["two", "three", "one"]


def chosen(page) -> list[str]:
    return page.locator("#found tbody tr:has(input:checked) th > a").all_inner_texts()


def test_the_keyboard_moves_selects_a_range_and_opens(tab, runs):
    page = tab.sign_in().open("/runs/")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert chosen(page) == ["three"]
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    assert chosen(page) == ["three", "two", "one"]
    page.keyboard.press("k")
    page.keyboard.press("x")
    assert chosen(page) == ["three", "one"]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{runs['two']}/")


def test_shift_selects_the_runs_that_one_moves_over(tab, runs):
    page = tab.sign_in().open("/runs/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    assert chosen(page) == ["three", "two"]
    page.get_by_label("Select all runs on this page").check()
    assert chosen(page) == ["three", "two", "one"]
    page.get_by_label("Select all runs on this page").uncheck()
    assert page.get_by_role("button", name="Compare").is_disabled()


def test_escape_closes_a_menu_and_leaves_the_focus_at_it(tab, runs):
    page = tab.sign_in().open("/runs/")
    page.get_by_text("Save this view").click()
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.press("Escape")
    assert not page.get_by_label("Name", exact=True).is_visible()
    assert page.evaluate("document.activeElement.innerText") == "Save this view"


def test_the_groups_are_compared_by_a_click(tab, wire, runs):
    for kwh in (5.0, 6.0, 7.0):
        wire.whole_run([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [CARD], model="gpt")
    page = tab.sign_in().open("/runs/?group=model")
    page.get_by_role("link", name="Compare the others with bert").click()
    page.wait_for_url("**against=digits%2Fbert**")
    assert page.locator("#differences li").inner_text().startswith("Runs of gpt used 4 kWh (200 %) more on average")
