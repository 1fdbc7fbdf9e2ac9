"""The API's documentation for people: the OpenAPI document as a page, without scripts from anywhere."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from django.contrib.auth.decorators import login_not_required
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from runs.addresses import origin

#: What the resources are about, in the order of the page: the first part of their paths, and a heading.
CHAPTERS = {
    "project": "Token and project",
    "runs": "Runs",
    "models": "Models",
    "summary": "Totals",
    "usage": "Totals",
    "compare": "Comparing",
    "plan": "Planning",
    "hardware": "Hardware and emission factor",
    "factor": "Hardware and emission factor",
    "imports": "Imports",
}
DEEPEST = 4


class DocumentedField(NamedTuple):
    """A parameter, or a field of a body with the path to it: its type in words, and its description."""

    name: str
    type: str
    text: str
    required: bool


class DocumentedOperation(NamedTuple):
    """A method of a path. `words` is text in pieces, each with whether it is code."""

    id: str
    method: str
    path: str
    text: str
    parameters: list[DocumentedField]
    body: list[DocumentedField]
    answer: list[DocumentedField]
    answer_types: list[str]


@login_not_required
@require_safe
def api_docs(request):
    """Public, like the document itself: it says nothing about any data."""
    return render(request, "api/docs.html", {"chapters": chapters(), "base_url": f"{origin()}/api/v1"})


@lru_cache(maxsize=1)
def chapters() -> list[tuple[str, list[DocumentedOperation]]]:
    """Return each chapter with its operations; read once per process, as it never changes."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    found: dict[str, list[DocumentedOperation]] = {heading: [] for heading in CHAPTERS.values()}
    for path, operations in document["paths"].items():
        heading = CHAPTERS[path.removeprefix("/api/v1/").partition("/")[0]]
        found[heading] += [_operation(method, path, told, document) for method, told in operations.items()]
    return list(found.items())


def _operation(method: str, path: str, told: dict, document: dict) -> DocumentedOperation:
    status = next(iter(told["responses"]))
    content = told["responses"][status].get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    asked = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return DocumentedOperation(
        id=told["operationId"],
        method=method.upper(),
        path=path.removeprefix("/api/v1"),
        text=told.get("description", ""),
        parameters=[_parameter(each, document) for each in told.get("parameters", [])],
        body=list(fields_of(asked, document)),
        answer=list(fields_of(schema, document)),
        answer_types=list(content),
    )


def _parameter(told: dict, document: dict) -> DocumentedField:
    type_ = type_of(told["schema"], document)
    return DocumentedField(told["name"], type_, told.get("description", ""), told.get("required", False))


def fields_of(schema: dict, document: dict, before: str = "", depth: int = 0) -> Iterator[DocumentedField]:
    """Yield the fields of an object with those of the objects in them: `devices[].name`."""
    schema = _resolved(schema, document)
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        text = each.get("description", "")
        yield DocumentedField(f"{before}{name}", type_of(each, document), text, name in required)
        inner, ending = (each["items"], "[].") if "items" in each else (each, ".")
        if depth < DEEPEST:
            yield from fields_of(inner, document, f"{before}{name}{ending}", depth + 1)


def type_of(schema: dict, document: dict) -> str:
    """Return a type in words: `number or null`, `list of text`, `training, finetuning …`."""
    nullable = " or null" if schema.get("nullable") else ""
    schema = _resolved(schema, document)
    nullable = nullable or (" or null" if schema.get("nullable") else "")
    if "oneOf" in schema:
        return " or ".join(dict.fromkeys(type_of(each, document) for each in schema["oneOf"])) + nullable
    if "enum" in schema:
        return ", ".join(str(word) for word in schema["enum"] if word) + nullable
    if schema.get("type") == "array":
        return f"list of {type_of(schema['items'], document)}{nullable}"
    kind = schema.get("format") or schema.get("type", "any")
    return TYPES.get(kind, kind) + nullable


#: The words for OpenAPI's types and formats.
TYPES = {
    "string": "text",
    "double": "number",
    "uuid": "UUID",
    "date-time": "time",
    "uri": "address",
    "int64": "integer",
    "boolean": "true or false",
    "any": "any JSON",
}


def _resolved(schema: dict, document: dict) -> dict:
    """Return what a schema refers to, alone or as its only part."""
    if "allOf" in schema and len(schema["allOf"]) == 1:
        schema = schema["allOf"][0]
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema
