"""The model list: footprints of what a person may see."""

from tests.pages.test_runs import names


def test_alice_and_bob_see_their_models_the_largest_first(alice, bob, run):
    run(kwh=1.0, model="small")
    run(kwh=2.0, model="large")
    page = alice.read("/models/")
    assert names(page) == ["large", "small"]
    assert bob.read("/models/").text == page.text


def test_charlie_sees_none_of_them(charlie, run):
    run(model="secret-model")
    assert "secret-model" not in charlie.read("/models/").text


def test_charlies_search_finds_none_of_them(charlie, run):
    run(model="secret-model")
    page = charlie.read("/models/", q="secret")
    assert "No model matches" in page.text
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
    assert "No run has arrived yet" in alice.read("/models/").text
    run()
    assert "No model matches" in alice.read("/models/", q="nosuch").text


def test_a_bar_says_in_words_what_it_shows(alice, run):
    run(kwh=1.0, kind="training")
    run(kwh=1.0, kind="inference")
    label = alice.read("/models/").one("table").all("svg")[0].attributes["aria-label"]
    assert label == "Training 473 g, inference 473 g, other 0 kg"
