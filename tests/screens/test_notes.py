"""Notes on a model: written by those who may, read by the team, safe whatever is in them."""

import pytest

from runs.models import Membership, TrackedModel
from tests.screens.html import Page
from tests.screens.test_hostile_names import NAMES

PATH = "/models/digits/resnet-50/"
NOTES = PATH + "notes/"


@pytest.fixture
def model(people) -> TrackedModel:
    return TrackedModel.named(people.project, "resnet-50")


def save(reader, notes: str, **more):
    """Open the form and send it as a browser does."""
    before = Page(reader.get(NOTES)).by_id("id_before").attributes.get("value", "")
    return reader.post(NOTES, {"notes": notes, "before": before} | more)


def test_a_member_writes_notes_that_the_team_reads(bob, alice, model):
    assert save(bob, "## Data\r\n\r\n* ImageNet").headers["Location"] == PATH + "#notes"
    page = alice.read(PATH)
    assert "Data" in [heading.text for heading in page.root.all("h4")]
    assert TrackedModel.objects.get().notes == "## Data\n\n* ImageNet"


def test_the_form_shows_what_is_there(alice, model):
    save(alice, "first")
    assert Page(alice.get(NOTES)).one("textarea").text == "first"


def test_a_viewer_reads_and_does_not_write(bob, alice, people, model):
    save(alice, "written by Alice")
    Membership.objects.filter(user=people.bob).update(role="viewer")
    page = bob.read(PATH)
    assert "written by Alice" in page.text
    assert NOTES not in page.links()
    assert bob.get(NOTES).status_code == bob.post(NOTES, {"notes": "x"}).status_code == 403


def test_charlie_finds_no_form(charlie, model):
    assert charlie.get(NOTES).status_code == charlie.post(NOTES, {"notes": "x"}).status_code == 404


def test_what_someone_wrote_meanwhile_is_not_lost(alice, bob, model):
    stale = Page(alice.get(NOTES)).by_id("id_before").attributes["value"]
    save(bob, "Bob's")
    page = Page(alice.post(NOTES, {"notes": "Alice's", "before": stale}))
    assert "Someone else changed the notes in the meantime" in page.text
    assert (page.one("textarea").text, page.one("pre").text) == ("Alice's", "Bob's")
    assert TrackedModel.objects.get().notes == "Bob's"
    alice.post(NOTES, {"notes": "both", "before": page.by_id("id_before").attributes["value"]})
    assert TrackedModel.objects.get().notes == "both"


@pytest.mark.parametrize("text", ["x" * 10_001, "a\x00b", "a\u202eb"])
def test_what_may_not_be_stored_is_said_and_stays_in_the_form(alice, model, text):
    answer = save(alice, text)
    assert "The text must" in answer.content.decode()
    assert TrackedModel.objects.get().notes == ""


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_hostile_notes_add_no_element_but_those_of_markdown(alice, model, name):
    save(alice, "plain")
    plain = alice.read(PATH).tags
    save(alice, f"plain {name}")
    added = set(alice.read(PATH).tags) - set(plain)
    assert added <= {"table", "thead", "tbody", "tr", "th", "td", "em", "strong", "code"}
