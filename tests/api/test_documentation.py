"""The API's documentation as a page: every operation of the document with its parameters and fields, for anybody."""

import re

import pytest

from runs.api.documentation import chapters
from tests.screens.html import Page

pytestmark = pytest.mark.django_db


def test_a_stranger_finds_every_operation_with_its_parameters_and_fields(client):
    page = Page(client.get("/api/"))
    operations = {each.id: each for _, found in chapters() for each in found}
    document = client.get("/api/v1/schema", {"format": "json"}).json()
    described = [(method, path) for path, found in document["paths"].items() for method in found]
    assert len(operations) == len(described)
    for each in operations.values():
        section = page.by_id(each.id).text
        assert each.path in section
        assert all(field.name in section for field in [*each.parameters, *each.body, *each.answer])


def test_fields_within_fields_are_named_by_their_path(client):
    run = next(
        each for _, found in chapters() for each in found if (each.method, each.path) == ("GET", "/runs/{run_id}")
    )
    fields = {field.name: field.type for field in run.answer}
    assert fields["devices[].energy_kwh"] == "number"
    assert fields["devices[].energy_measured_j"] == "number or null"
    assert fields["ended_at"] == "time or null"
    assert fields["factor.kg_per_kwh"] == "number"


def test_the_page_asks_nothing_of_other_hosts(client):
    page = client.get("/api/").content.decode()
    loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]*)"|<link[^>]* href="([^"]*)"', page)
    assert loaded
    assert all("".join(address).startswith("/static/") for address in loaded)
