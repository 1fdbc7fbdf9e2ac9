"""Every error of the API as problem JSON (RFC 9457) that names the field, with the request's id."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice

from django.core.exceptions import SuspiciousOperation
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError, OperationalError
from django.http import Http404
from drf_spectacular.openapi import AutoSchema
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import set_rollback

from runs.api.agents import notice
from runs.api.refusals import remember
from runs.ingest.keeping import RunDeleted
from traceml_agent.limits import MAX_TEXT

RETRY_AFTER_S = 5
#: An answer stays readable, and within the 64 KiB that the agent reads of it.
MAX_ERRORS = 100
PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


class RunUnknown(exceptions.NotFound):
    default_detail = "This project has no run with this id. Send the run's header first."
    default_code = "run-unknown"


class RunGone(exceptions.APIException):
    status_code = HTTPStatus.GONE
    default_detail = "This run was deleted. No more data is accepted for it."
    default_code = "run-deleted"


class Conflict(exceptions.APIException):
    status_code = HTTPStatus.CONFLICT
    default_detail = "A different batch with this id is already stored."
    default_code = "batch-conflict"


class Busy(exceptions.APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The database is busy. Send the same request again."
    wait = RETRY_AFTER_S


class ProblemErrorSerializer(serializers.Serializer):
    field = serializers.CharField(allow_blank=True)
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """What is wrong with a request (RFC 9457), with each field that is invalid."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = ProblemErrorSerializer(many=True)
    request_id = serializers.CharField()
    notice = serializers.CharField(required=False, help_text="About the version of the agent that asks.")


class DocumentedSchema(AutoSchema):
    """Adds to each operation of the OpenAPI document that it may answer with a problem."""

    def _get_response_bodies(self, direction="response"):
        problem = self._get_response_for_code(ProblemSerializer, "default", ["application/problem+json"])
        return super()._get_response_bodies(direction) | {"default": problem}


def problem_response(error, context):
    """DRF's exception handler. Unknown errors are left to Django, which answers 500."""
    if isinstance(error, OperationalError):
        error = Busy()
    if isinstance(error, (DataError, SuspiciousOperation)):
        error = exceptions.ParseError("The request contains a value that the database can't store.")
    if isinstance(error, RunDeleted):
        error = RunGone()
    if isinstance(error, Http404):
        error = exceptions.NotFound("This object does not exist, or this token has no access to it.")
    fields = _field_errors(error)
    if fields is None and not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    status = HTTPStatus.UNPROCESSABLE_ENTITY if fields is not None else HTTPStatus(error.status_code)
    problem = {
        "type": getattr(error, "default_code", "about:blank") if fields is None else "invalid",
        "title": status.phrase,
        "status": int(status),
        "detail": "Some fields are invalid; see errors." if fields is not None else _sendable(str(error.detail)),
        "errors": fields or [],
        "request_id": getattr(context["request"], "request_id", ""),
    }
    if told := notice(context["request"]):
        problem["notice"] = told
    remember(context["request"], problem)
    headers = {"Retry-After": str(int(error.wait))} if getattr(error, "wait", None) else {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header
    return Response(problem, status=int(status), headers=headers, content_type="application/problem+json")


def _field_errors(error) -> list[dict[str, str]] | None:
    """The first hundred `field`/`message` pairs of a validation error; None for other errors."""
    if isinstance(error, exceptions.ValidationError):
        return list(islice(_flat(error.detail), MAX_ERRORS))
    if isinstance(error, ModelValidationError):
        return list(islice(_flat(getattr(error, "message_dict", None) or error.messages), MAX_ERRORS))
    return None


def _flat(detail, path: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _flat(value, _below(path, key))
    elif isinstance(detail, list) and any(isinstance(item, (dict, list)) for item in detail):
        for index, item in enumerate(detail):
            yield from _flat(item, _below(path, index))
    elif isinstance(detail, list):
        for item in detail:
            yield {"field": path, "message": _sendable(str(item))}
    else:
        yield {"field": path, "message": _sendable(str(detail))}


def _sendable(text: str) -> str:
    """Escape lone surrogates, which messages may quote from the request and UTF-8 can't encode."""
    return text.encode("utf-8", "backslashreplace").decode()


def _below(path: str, key: str | int) -> str:
    """The path of a row or key: `metrics[3]`, `params.lr`, and `params["a.b"]` (a JSON string) for any other key."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    is_clients = path.startswith(("params", "environment"))  # whose keys may have any name
    if (key == "non_field_errors" and not is_clients) or len(key) > MAX_TEXT:
        return path
    if not path:
        return key
    if PLAIN_KEY.match(key):
        return f"{path}.{key}"
    return f"{path}[{_sendable(json.dumps(key, ensure_ascii=False))}]"
