"""Saved views: a name for a query string, of one person, shared with a project or not."""

import pytest

from runs.models import SavedView


def save(reader, **changes):
    return reader.post("/runs/views/", {"name": "Nightly", "query": "tag=night&sort=-energy"} | changes)


def chips(page) -> list[str]:
    return [link.text for link in page.root.all("a") if link.attributes["href"].startswith("/runs/?")]


def test_a_view_leads_to_its_query_string(alice, run):
    run()
    assert save(alice)["Location"] == "/runs/?tag=night&sort=-energy"
    page = alice.read("/runs/")
    (link,) = (link for link in page.root.all("a") if link.text == "Nightly")
    assert link.attributes["href"] == "/runs/?tag=night&sort=-energy"


def test_it_is_its_owners_alone_unless_shared(alice, bob, charlie, run):
    run()
    save(alice)
    assert "Nightly" not in chips(bob.read("/runs/"))
    save(alice, project="digits")
    assert "Nightly" in chips(bob.read("/runs/"))
    assert "Nightly" not in charlie.read("/runs/").text


def test_a_name_used_again_means_the_new_view(alice):
    save(alice)
    save(alice, query="q=x")
    assert SavedView.objects.get().query == "q=x"


def test_only_its_owner_deletes_it(alice, bob, charlie, run):
    run()
    save(alice, project="digits")
    path = f"/runs/views/{SavedView.objects.get().pk}/delete/"
    assert bob.post(path).status_code == 404
    assert charlie.post(path).status_code == 404
    assert alice.get(path)["Location"] == "/runs/"
    alice.post(path)
    assert not SavedView.objects.exists()


def test_it_is_not_shared_with_a_project_of_others(charlie, run):
    run()
    save(charlie, project="digits")
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("name", ["", "a\x00b", "\u202egpj", "x" * 101])
def test_a_name_that_may_not_be_is_refused_in_words(alice, name):
    answer = alice.post("/runs/views/", {"name": name, "query": ""}, follow=True)
    assert answer.status_code == 200
    assert not SavedView.objects.exists()


def test_a_hostile_query_stays_a_query(alice, run):
    run()
    save(alice, query='"><script>alert(1)</script>')
    assert "<script>alert" not in alice.get("/runs/").content.decode()
