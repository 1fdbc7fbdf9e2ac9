"""Groups of runs against one of them, by an address that can be sent on."""

import pytest

from runs.dashboards.welch import welch
from tests.pages.conftest import Reader


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
    assert sentence.startswith("A run of bert used 2 kWh ( 64.5 % ) less on average (n = 3 and 3), p < 0.001:")
    assert sentence.endswith("more than chance explains.")


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
    assert sentence.startswith("A run of bert used as much on average")
    assert "nothing to test" in sentence


def test_p_is_that_of_welchs_test(alice, run):
    for kwh in (1.0, 2.0, 3.0):
        run(kwh=kwh, model="bert")
        run(kwh=kwh * 3, model="gpt")
    page = alice.read("/runs/", group="model", against="digits/gpt")
    expected = welch(3, 2.0, 1.0, 3, 6.0, 3.0)
    assert expected
    assert page.by_id("differences").figures[-1] == pytest.approx(expected.p)


def test_a_difference_that_chance_explains_is_called_that(alice, run):
    for kwh in (1.0, 2.0, 3.0):
        run(kwh=kwh, model="bert")
        run(kwh=kwh + 0.1, model="gpt")
    (sentence,) = differences(alice, group="model", against="digits/gpt")
    assert sentence.endswith("chance explains that as well.")


@pytest.mark.parametrize("against", ["digits/resnet", "nosuch", "</script>"])
def test_a_base_that_is_none_is_said_to_be(alice, sweep, against):
    page = alice.read("/runs/", group="model", against=against)
    assert "No group of at least three runs is called that" in page.by_id("differences").text


def test_groups_by_parameter_can_be_the_base(alice, run):
    for kwh in (1.0, 1.1, 1.2):
        run(kwh=kwh, params={"lr": 0.1})
        run(kwh=kwh, params={})
    assert len(differences(alice, group="param:lr", against='{"lr": 0.1}')) == 1
    assert len(differences(alice, group="param:lr", against="not set")) == 1
