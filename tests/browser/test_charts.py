"""Charts are drawn, in the colours of the theme, and stay in step with it."""

import pytest

pytestmark = pytest.mark.browser

#: Colours of a canvas with how many pixels have each, the transparent ground left out.
COLOURS = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const colours = {};
    for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 200) {
            const name = data.slice(i, i + 3).join(",");
            colours[name] = (colours[name] || 0) + 1;
        }
    return colours;
}"""


def colours(page) -> dict[str, int]:
    return page.locator("canvas").first.evaluate(COLOURS)


@pytest.mark.parametrize("path", ["/", "/runs/{run_id}/", "/models/digits/resnet-50/"])
def test_a_chart_is_drawn(tab, run_id, path):
    page = tab.sign_in().open(path.format(run_id=run_id))
    assert sum(colours(page).values()) > 2_000
    assert tab.complaints == []


def test_the_overviews_bar_has_the_first_series_colour(tab, run_id):
    found = colours(tab.sign_in().open("/"))
    assert found["0,114,178"] > 500


def test_a_chart_follows_the_theme(tab, run_id):
    page = tab.sign_in().open("/")
    in_light = colours(page)
    for _ in range(2):  # system, light, dark
        page.get_by_role("button", name="Theme").click()
    in_dark = colours(page)
    assert in_dark["74,163,223"] > 500
    assert "74,163,223" not in in_light
