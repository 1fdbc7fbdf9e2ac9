"""The model list: footprints of what a person may see."""

import re

import pytest

from tests.screens.run_list.test_runs import names
from tests.wire import batch


def test_alice_and_bob_see_their_models_the_largest_first(alice, bob, run):
    run(kwh=1.0, model="small")
    run(kwh=2.0, model="large")
    page = alice.read("/models/")
    assert names(page) == ["large", "small"]
    assert bob.read("/models/").text == page.text


def test_a_bar_says_its_parts(alice, run):
    run(kwh=1.0)
    run(kwh=3.0, kind="inference")
    (bar,) = (each for each in alice.read("/models/").root.all("svg") if each.attributes.get("class") == "bar")
    words = bar.attributes["aria-label"]
    assert re.fullmatch(r"Training [\d.]+ g, inference [\d.]+ (k?)g, other 0 kg", words)
    widths = [float(each.attributes["width"]) for each in bar.all("rect")]
    assert widths == pytest.approx([100, 25, 75, 0])


def test_charlie_sees_none_of_them(charlie, run):
    run(model="secret-model")
    assert "secret-model" not in charlie.read("/models/").text


def test_charlies_search_finds_none_of_them(charlie, run):
    run(model="secret-model")
    page = charlie.read("/models/", q="secret")
    assert "No matching models" in page.text
    assert page.root.all("table") == []


def test_search_finds_part_of_a_name(alice, run):
    run(model="bert-large")
    run(model="resnet")
    assert names(alice.read("/models/", q="BERT")) == ["bert-large"]


def test_search_takes_wildcards_for_what_they_are(alice, run):
    run(model="bert")
    assert names(alice.read("/models/", q="b_rt")) == []
    assert names(alice.read("/models/", q="%")) == []


def test_nothing_yet_and_nothing_matches_differ(alice, run):
    assert "No runs yet" in alice.read("/models/").text
    run()
    assert "No matching models" in alice.read("/models/", q="nosuch").text


def test_a_bar_says_in_words_what_it_shows(alice, run):
    run(kwh=1.0, kind="training")
    run(kwh=1.0, kind="inference")
    label = alice.read("/models/").one("table").all("svg")[0].attributes["aria-label"]
    assert label == "Training 458 g, inference 458 g, other 0 kg"


def test_a_row_has_energy_emissions_share_measured_runs_and_last_run(alice, run):
    run(kwh=1.0, model="bert")
    run(kwh=2.0, model="bert", kind="inference")
    (row,) = alice.read("/models/").table()
    assert row[0] == "bert Digits"
    assert row[2:] == ["1.37", "3.00", "100", "2", "just now"] or row[2:] == ["1.37", "3", "100", "2", "just now"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["Alpha", "beta", "gamma"]),
        ("-name", ["gamma", "beta", "Alpha"]),
        ("emissions", ["beta", "gamma", "Alpha"]),
        ("-energy", ["Alpha", "gamma", "beta"]),
        ("-runs", ["beta", "Alpha", "gamma"]),
        ("used", ["Alpha", "beta", "gamma"]),
        ("-used", ["gamma", "beta", "Alpha"]),
        ("nosuch", ["Alpha", "gamma", "beta"]),
    ],
)
def test_the_list_sorts_both_ways_by_what_it_shows(alice, run, sort, expected):
    run(kwh=3.0, model="Alpha")
    run(kwh=0.5, model="beta")
    run(kwh=0.5, model="beta")
    run(kwh=2.0, model="gamma")
    assert names(alice.read("/models/", sort=sort)) == expected


def test_a_head_sorts_and_turns_round_and_keeps_the_search(alice, run):
    run(model="bert")
    links = alice.read("/models/", q="bert").links()
    assert "?q=bert&sort=-energy" in links
    assert "?q=bert&sort=emissions" in links  # already the largest first, so the other way round


def test_a_second_page_keeps_order_and_search(alice, run, monkeypatch):
    monkeypatch.setattr("runs.model_page.list.PAGE_SIZE", 2)
    for number in range(3):
        run(kwh=1.0 + number, model=f"m-{number}")
    page = alice.read("/models/", q="m-", sort="energy")
    assert names(page) == ["m-0", "m-1"]
    assert "?q=m-&sort=energy&page=2" in page.links()
    assert names(alice.read("/models/", q="m-", sort="energy", page="2")) == ["m-2"]


def test_a_model_that_its_runs_have_left_is_not_listed(alice, wire, profile):
    run_id = wire.whole_run(model="python")
    wire.send(run_id, "b-2", batch(about={"model": "resnet-50"}))
    page = alice.read("/models/")
    assert [link for link in page.links() if link.startswith("/models/digits/")] == ["/models/digits/resnet-50/"]
    assert "/models/digits/python/" not in alice.read("/").links()
