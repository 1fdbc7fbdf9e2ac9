"""The OpenAPI document: valid, complete, and what the API really answers."""

import json
import uuid

import pytest
from django.core.management import call_command
from drf_spectacular.validation import validate_schema
from jsonschema import Draft4Validator

from runs.api.urls import urlpatterns
from tests.api.test_reads import logged_run
from tests.wire import Wire

pytestmark = pytest.mark.django_db

#: What the paths of the document are asked about.
PARTS = {"batch_id": "b-1"}
QUERIES = {"/api/v1/plan": {"hardware": "nvidia-a100-sxm4-40gb"}}


@pytest.fixture
def document(client) -> dict:
    return json.loads(client.get("/api/v1/schema", {"format": "json"}).content)


def strict(schema: dict, document: dict) -> dict:
    """A schema of OpenAPI 3.0 as JSON Schema, whose objects have the properties that it names and no others."""
    if "$ref" in schema:
        return strict(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    found = {name: schema[name] for name in ("type", "enum", "required", "format") if name in schema}
    if "properties" in schema:
        found["properties"] = {name: strict(each, document) for name, each in schema["properties"].items()}
        found["additionalProperties"] = schema.get("additionalProperties", False)
    for name, as_name in (("allOf", "allOf"), ("oneOf", "anyOf"), ("anyOf", "anyOf")):
        if name in schema:
            found[as_name] = [strict(each, document) for each in schema[name]]
    if "items" in schema:
        found["items"] = strict(schema["items"], document)
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") else found


def test_the_document_is_valid_and_nothing_of_it_is_guessed(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "openapi.yaml"))


def test_every_route_is_in_the_document_with_its_methods(document):
    validate_schema(document)
    routes = {f"/api/v1/{route.pattern}" for route in urlpatterns} - {"/api/v1/schema"}
    kinds = (("uuid:", ""), ("batch_id:", ""), ("slug:", ""), ("int:pk", "id"), ("int:", ""), ("<", "{"), (">", "}"))
    for old, new in kinds:
        routes = {route.replace(old, new) for route in routes}
    assert set(document["paths"]) == routes
    methods = {(path, method) for path, operations in document["paths"].items() for method in operations}
    only_written = {
        "runs/{run_id}/batches/{batch_id}",
        "runs/{run_id}/finish",
        "imports",
        "imports/{id}/parts/{number}",
    }
    only_written |= {f"imports/{{id}}/{action}" for action in ("check", "confirm", "undo")}
    assert {path for path, method in methods if method == "get"} == routes - {
        f"/api/v1/{path}" for path in only_written
    }
    assert len([path for path, method in methods if method == "put"]) == 4


def test_every_operation_says_what_it_does_and_may_answer_with_a_problem(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_every_answer_has_the_fields_of_the_document_and_no_others(wire: Wire, catalogue, document):
    announced = wire.client.post(
        "/api/v1/imports", {"file_name": "emissions.csv"}, content_type="application/json", headers=wire.headers
    ).json()
    parts, problems = PARTS | {"run_id": logged_run(wire), "id": announced["id"]}, []
    for path, operations in document["paths"].items():
        if "get" not in operations or path.endswith("/citation"):  # whose JSON is an object as the form has it
            continue
        slug = "nvidia-a100-sxm4-40gb" if "hardware" in path else "resnet-50"
        query = QUERIES.get(path, {"run": parts["run_id"]} if path.endswith("compare") else {})
        answer = wire.get(path.removeprefix("/api/v1/").format(**parts, slug=slug), **query)
        assert answer.status_code == 200, (path, answer.content)
        schema = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        problems += [
            (path, each.message) for each in Draft4Validator(strict(schema, document)).iter_errors(answer.json())
        ]
    assert problems == []


def test_a_problem_has_the_fields_of_the_document(wire, document):
    problem = document["components"]["schemas"]["Problem"]
    for answer in (wire.get(f"runs/{uuid.uuid4()}"), wire.get("runs", kind="cooking")):
        validator = Draft4Validator(strict(problem, document))
        assert list(validator.iter_errors(answer.json())) == []
