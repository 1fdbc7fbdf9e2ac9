"""The badge: a picture with one figure that any site may show, and nothing else."""

import xml.etree.ElementTree as ET

import pytest

from runs.models import Badge, TrackedModel
from tests.screens.test_hostile_names import NAMES

SVG = "{http://www.w3.org/2000/svg}"


def badge(subject, label: str = "emissions") -> str:
    return f"/badge/{Badge.make(subject, label, None).key}.svg"


def words(answer) -> list[str]:
    return [text.text for text in ET.fromstring(answer.content).iter(f"{SVG}text")]


def test_it_shows_a_models_or_a_projects_total(client, people, run):
    run(2.0)
    run(3.0, model="other")
    model = TrackedModel.objects.get(name="resnet-50")
    kg = sum(row.emissions_kg for row in model.run_set.all())
    assert words(client.get(badge(model))) == ["emissions", f"{kg * 1000:.0f} g CO₂e"]
    assert "CO₂e" in words(client.get(badge(people.project)))[1]
    assert words(client.get(badge(people.project))) != words(client.get(badge(model)))


def test_of_nothing_it_shows_nought(client, people):
    assert words(client.get(badge(people.project))) == ["emissions", "0 kg CO₂e"]


def test_it_is_an_image_for_shared_caches_and_for_other_sites(client, people):
    answer = client.get(badge(people.project))
    assert answer["Content-Type"].startswith("image/svg+xml")
    assert answer["Cache-Control"] == "public, max-age=300"
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.cookies == {}


def test_it_is_sent_again_only_when_its_figure_has_changed(client, people, run):
    path = badge(people.project)
    etag = client.get(path)["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    run(1.0)
    changed = client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_whatever_its_words_are_they_stay_words(client, people, name):
    """An SVG opened by itself may run scripts, so no word may become an element."""
    label = name[:40]
    plain, hostile = client.get(badge(people.project)), client.get(badge(people.project, label))
    tags = [[element.tag for element in ET.fromstring(answer.content).iter()] for answer in (plain, hostile)]
    assert tags[0] == tags[1]
    assert words(hostile)[0] == label


def test_the_words_fit_into_the_picture(client, people):
    for label in ("i", "W" * 40, "排放量"):
        svg = ET.fromstring(client.get(badge(people.project, label)).content)
        first, second = svg.iter(f"{SVG}text")
        assert int(first.get("x")) + int(first.get("textLength")) < int(second.get("x"))
        assert int(second.get("x")) + int(second.get("textLength")) < int(svg.get("width"))


@pytest.mark.parametrize("key", ["x", "A" * 22, "..%2fx"])
def test_a_wrong_key_shows_nothing(client, people, key):
    badge(people.project)
    assert client.get(f"/badge/{key}.svg").status_code == 404


def test_a_revoked_one_shows_nothing(client, alice, people):
    path = badge(people.project)
    alice.post(f"/settings/teams/vision-lab/badges/{Badge.objects.get().pk}/revoke/")
    assert client.get(path).status_code == 404


def test_its_key_can_not_be_guessed(people):
    keys = {Badge.make(people.project, "x", None).key for _ in range(50)}
    assert {len(key) for key in keys} == {22}
    assert len(keys) == 50
