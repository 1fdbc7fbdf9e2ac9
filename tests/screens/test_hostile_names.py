"""Promise PS16: whatever people call things, a page keeps its elements and shows the name as text."""

import pytest

from runs.models import Membership
from tests.screens.conftest import METERED
from tests.wire import batch, sample

NAMES = {
    "script": "</script><script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "attribute": "\"><svg onload=alert(1)> ' onmouseover='alert(1)",
    "title": "</title></bdi></td></table><h1>gone",
    "comment": "<!-- --!> ]]> <![CDATA[",
    "template": "{{ 7|add:7 }}{% csrf_token %}${7}",
    "entity": "&lt;b&gt; &amp;amp; &#60;",
    "link": "javascript:alert(1)",
    "arabic": "نموذج اللغة الكبير",
    "emoji": "🚀👩🏽‍🔬",
    "line": "one\u2028two\u2029three",
    "long": "W" * 200,
}


#: The run list in the ways that show names of other things.
LISTS = (
    "/runs/?column=project&column=hardware&column=tags",
    "/runs/?group=model",
    "/runs/?group=tag",
    "/runs/?group=hardware",
    "/runs/?group=model&against=</script>",
)


def everything_named(wire, name: str) -> str:
    """A run in which everything that has a name has this one, as far as it may be as long."""
    short = name[:50]
    device = METERED | {"name": name, "note": name, "method": name}
    body = batch(
        [sample("gpu-0", 3600, 1800, 3.6e6)],
        [device],
        stages=[{"id": "1", "name": name, "parent": "", "start_s": 0, "end_s": 10}],
        metrics=[{"t_s": 5, "name": name, "value": 1.0}],
        calls=[{"method": name, "calls": 1, "items": 1, "busy_s": 2}],
    )
    about = {"model": name, "name": name, "host": name, "tags": [short], "params": {short: name}}
    run_id = wire.start(**about, environment={short: name})
    assert wire.send(run_id, "b-1", body).status_code == 201
    assert wire.finish(run_id, status="failed", exception=name).status_code == 200
    return run_id


def pages(reader, run_id: str) -> dict:
    """Every page that shows the run."""
    run = reader.read(f"/runs/{run_id}/")
    model = next(link for link in run.links() if link.startswith("/models/") and link != "/models/")
    paths = ("/", "/runs/", "/models/", model, "/hardware/nvidia-a100-sxm4-40gb/", *LISTS)
    compared = reader.read("/compare/", run=run_id, params="all")
    found = {"/models/…/" if path == model else path: reader.read(path) for path in paths}
    return {"/runs/…/": run, "/compare/": compared} | found


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_adds_no_element_to_any_page_and_is_shown_as_text(
    alice, charlie, wire, charlies_wire, people, profile, name
):
    # The overview offers the members of a team: both have as many.
    Membership.objects.create(team=people.charlies_project.team, user=people.bob)
    plain = pages(charlie, everything_named(charlies_wire, "plain"))
    named = pages(alice, everything_named(wire, name))
    assert {path: page.tags for path, page in named.items()} == {path: page.tags for path, page in plain.items()}
    shown = " ".join(name.split())
    for path in ("/", "/runs/", "/models/", "/runs/…/", "/models/…/", "/compare/", *LISTS):
        assert shown in named[path].text, path


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_charts_data_holds_a_name_as_it_is(alice, wire, profile, name):
    run_id = everything_named(wire, name)
    assert alice.read("/").data("trend-data")["series"][0]["name"] == name
    assert alice.read(f"/runs/{run_id}/").data("power-data")["bands"][0]["name"] == name


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_search_for_a_name_shows_it_as_text(alice, run, name):
    run()
    tags = {path: alice.read(path, q="nosuch").tags for path in ("/runs/", "/models/", "/hardware/")}
    for path, expected in tags.items():
        page = alice.read(path, q=name)
        assert page.tags == expected
        assert page.by_id("q").attributes["value"] == name
