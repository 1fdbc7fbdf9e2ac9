"""Addresses: nothing has a name that hides its page, and none tells what other teams have."""

import re

import pytest
from django.urls import Resolver404, get_resolver, resolve

from runs.models import Project, Team
from tests.site.test_doors import routes

pytestmark = pytest.mark.django_db
WORD = re.compile(r"(?<=/)[a-z0-9-]+(?=[/.]|$)")
PART = re.compile(r"<(?:slug|str):(\w+)>")
EVERY = routes(get_resolver().url_patterns)
OWN = [(name, route) for name, route in EVERY if not route.startswith(("/admin", "/accounts"))]
WORDS = sorted({word for _, route in OWN for word in WORD.findall(route)} | {"all", "settings", "x"})


@pytest.mark.parametrize("word", WORDS)
def test_what_is_called_like_a_word_of_a_route_has_its_page(word):
    for name, route in OWN:
        for part in PART.findall(route):
            address = re.sub(rf"<\w+:{part}>", word, route)
            address = re.sub(r"<uuid:\w+>", "0f4e0000-0000-4000-8000-000000000000", address)
            address = re.sub(r"<(int):\w+>", "1", address)
            address = re.sub(r"<(?:\w+:)?\w+>", "some", address)
            try:
                found = resolve(address)
            except Resolver404:
                found = None
            assert found and (found.url_name, found.kwargs.get(part)) == (name, word), address


@pytest.mark.parametrize("name", ["new", "All", "rename", "Letters", "Ελλάδα", "new project", "x" * 200])
def test_a_project_of_any_name_has_a_page_and_settings(people, client, name):
    client.force_login(people.alice)
    client.post("/settings/teams/vision-lab/new-project/", {"name": name})
    project = Project.objects.exclude(pk__in=[people.project.pk, people.charlies_project.pk]).get()
    assert f"/projects/{project.slug}/" in client.get("/settings/teams/vision-lab/projects/").content.decode()
    assert client.get(f"/settings/teams/vision-lab/projects/{project.slug}/").status_code == 200
    assert client.get(f"/start/{project.slug}/").status_code == 200


def test_a_project_that_has_the_address_new_already_has_its_page(people, client):
    Project.objects.filter(pk=people.project.pk).update(slug="new")
    client.force_login(people.alice)
    assert client.get("/settings/teams/vision-lab/projects/new/").status_code == 200


def test_a_team_called_all_can_be_looked_at_alone(people, client):
    client.force_login(people.alice)
    client.post("/settings/new-team/", {"name": "All"})
    team = Team.objects.get(name="All")
    assert client.get("/", {"team": team.slug}).context["in_view"].name == "All"


def test_the_address_of_a_project_or_team_is_made_alike_whether_or_not_others_have_the_name(people, client):
    """Secrets is a project and Other lab a team of Charlie's; nobody has the other names."""
    client.force_login(people.alice)
    for name in ("Secrets", "Nobodys"):
        client.post("/settings/teams/vision-lab/new-project/", {"name": name})
        assert re.fullmatch(rf"{name.lower()}-[a-z0-9]{{6}}", Project.objects.filter(name=name).latest("pk").slug)
    for name in ("Other lab", "Nobodys lab"):
        client.post("/settings/new-team/", {"name": name})
        stem = name.lower().replace(" ", "-")
        assert re.fullmatch(rf"{stem}-[a-z0-9]{{6}}", Team.objects.filter(name=name).latest("pk").slug)
