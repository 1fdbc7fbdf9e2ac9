"""Groups of runs against one of them, by an address that can be sent on."""

import pytest

from runs.selection.welch import welch
from tests.screens.conftest import Reader


@pytest.fixture
def sweep(run):
    """Three runs of each of two models, and one of a third."""
    for model, energies in {"bert": (1.0, 1.1, 1.2), "gpt": (3.0, 3.1, 3.2), "resnet": (2.0,)}.items():
        for kwh in energies:
            run(kwh=kwh, model=model)


def differences(reader: Reader, **query) -> list[str]:
    page = reader.read("/runs/", **query)
    return [each.text for each in page.by_id("differences").all("li")]


def test_the_others_are_set_against_the_chosen_group(alice, sweep):
    (sentence,) = differences(alice, group="model", against="digits/gpt")
    assert sentence.startswith("Runs of bert used 2 kWh ( 64.5 % ) less on average (n = 3 and 3), p < 0.001:")
    assert sentence.endswith("a significant difference.")


def test_the_table_shows_the_difference_in_the_means_too(alice, sweep):
    page = alice.read("/runs/", group="model", against="digits/bert")
    rows = {row[0]: row for row in page.table()}
    assert "+2 kWh (+180 %)" in rows["gpt"][3]
    assert [rows[name][-1] for name in ("bert", "gpt", "resnet")] == ["base · stop", "as base", "too few"]


def test_every_group_that_may_be_the_base_links_to_it_within_the_filters(alice, sweep):
    links = alice.read("/runs/", group="model", kind="training", sort="name").links()
    assert "?group=model&kind=training&sort=name&against=digits%2Fgpt" in links
    assert not any("against=digits%2Fresnet" in link for link in links)


def test_equal_runs_leave_nothing_to_test(alice, run):
    for model in ("bert", "gpt"):
        for _ in range(3):
            run(kwh=2.0, model=model)
    (sentence,) = differences(alice, group="model", against="digits/gpt")
    assert sentence.startswith("Runs of bert used the same on average")
    assert "no test is possible" in sentence


def test_p_is_that_of_welchs_test(alice, run):
    for kwh in (1.0, 2.0, 3.0):
        run(kwh=kwh, model="bert")
        run(kwh=kwh * 3, model="gpt")
    page = alice.read("/runs/", group="model", against="digits/gpt")
    expected = welch(3, 2.0, 1.0, 3, 6.0, 3.0)
    assert expected
    assert page.by_id("differences").figures[-1] == pytest.approx(expected.p)
    assert "Adjusted for" not in page.by_id("differences").text


def test_a_difference_that_may_well_be_chance_is_called_not_significant(alice, run):
    for kwh in (1.0, 2.0, 3.0):
        run(kwh=kwh, model="bert")
        run(kwh=kwh + 0.1, model="gpt")
    (sentence,) = differences(alice, group="model", against="digits/gpt")
    assert sentence.endswith("no significant difference.")


@pytest.mark.parametrize("against", ["digits/resnet", "nosuch", "</script>"])
def test_a_base_that_is_none_is_said_to_be(alice, sweep, against):
    page = alice.read("/runs/", group="model", against=against)
    assert "This group does not exist or has fewer than three runs" in page.by_id("differences").text


def test_groups_by_parameter_can_be_the_base(alice, run):
    for kwh in (1.0, 1.1, 1.2):
        run(kwh=kwh, params={"lr": 0.1})
        run(kwh=kwh, params={})
    assert len(differences(alice, group="param:lr", against='{"lr": 0.1}')) == 1
    assert len(differences(alice, group="param:lr", against="not set")) == 1


def second_row(reader: Reader, **query) -> str:
    """The HTML of the groups' table behind its first row."""
    html = reader.get("/runs/", query).content.decode()
    return html.partition('id="groups"')[2].partition("</table>")[0]


def test_only_a_significant_difference_has_a_colour(alice, run):
    for kwh in (1.0, 2.0, 3.0):
        run(kwh=kwh, model="bert")
        run(kwh=kwh + 0.1, model="gpt")
        run(kwh=kwh / 1000 + 90, model="huge")
    html = second_row(alice, group="model", against="digits/bert")
    assert 'class="change "' in html
    assert html.count('class="change up"') == 1


def test_groups_that_have_runs_in_common_are_not_tested_but_said_so(alice, run):
    for kwh in (1.0, 1.1, 1.2):
        run(kwh=kwh, tags=["nightly", "v2"])
        run(kwh=kwh + 3, tags=["nightly", "v2"])
        run(kwh=kwh * 9, tags=["other"])
    run(kwh=1.0, tags=["v2"])
    sentences = {text.split()[2]: text for text in differences(alice, group="tag", against="nightly")}
    assert "6 runs are in both groups, so they can't be tested against each other." in sentences["v2"]
    assert "p =" not in sentences["v2"]
    assert "p " in sentences["other"]
    html = second_row(alice, group="tag", against="nightly")
    assert html.count('class="change "') + html.count('class="change up"') == 2


def test_runs_on_two_kinds_of_hardware_are_in_both_of_their_groups(alice, wire, profile):
    from tests.screens.conftest import METERED
    from tests.wire import sample

    for n in range(3):
        cards = [METERED, METERED | {"key": "gpu-1", "name": "Acme Turbo", "uuid": f"X-{n}"}]
        wire.whole_run([sample("gpu-0", 3600, 0, 3.6e6 * (n + 1)), sample("gpu-1", 3600, 0, 3.6e6)], cards)
    labels = [row[0] for row in alice.read("/runs/", group="hardware").table()]
    (sentence,) = differences(alice, group="hardware", against="nvidia-a100-sxm4-40gb")
    assert len(labels) == 2
    assert "3 runs are in both groups" in sentence


def test_several_comparisons_are_adjusted_for_each_other(alice, run):
    energies = {"base": (1.0, 2.0, 3.0), "near": (2.5, 3.5, 4.5), "far": (4.0, 5.0, 6.0)}
    for model, of_model in energies.items():
        for kwh in of_model:
            run(kwh=kwh, model=model)
    page = alice.read("/runs/", group="model", against="digits/base")
    p_near, p_far = welch(3, 3.5, 1, 3, 2, 1).p, welch(3, 5, 1, 3, 2, 1).p
    found = {each.text.split()[2]: each.figures[-1] for each in page.by_id("differences").all("li")}
    assert found == {"far": pytest.approx(2 * p_far), "near": pytest.approx(max(p_near, 2 * p_far))}
    assert "Adjusted for 2 comparisons by Holm's method" in page.by_id("differences").text


def test_numbers_of_numpy_are_in_one_group_with_pythons(alice, run):
    from numpy import float64, int64

    from traceml_agent.inputs import metadata

    for size in (8, int64(8), 8.0, float64(8)):
        run(params=metadata.params({"bs": size}))
    assert [row[:2] for row in alice.read("/runs/", group="param:bs").table()] == [["8", "4"]]
