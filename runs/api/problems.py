"""Every error of the API as problem JSON (RFC 9457) that names the field, with the request's id."""

from http import HTTPStatus

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from runs.api.agents import notice
from runs.api.refusals import remember
from runs.ingest.removal import RunDeleted

RETRY_AFTER_S = 5


class RunUnknown(exceptions.NotFound):
    default_detail = "This project has no such run; send its header first."
    default_code = "run-unknown"


class RunGone(exceptions.APIException):
    status_code = HTTPStatus.GONE
    default_detail = "This run was deleted here; nothing more is taken for it."
    default_code = "run-deleted"


class Conflict(exceptions.APIException):
    status_code = HTTPStatus.CONFLICT
    default_detail = "Another batch with this id is stored already."
    default_code = "batch-conflict"


class Busy(exceptions.APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The database is busy; send the same request again."
    wait = RETRY_AFTER_S


def problem_response(error, context):
    """DRF's exception handler. What it does not know is Django's: a 500 with its own plain answer."""
    if isinstance(error, OperationalError):
        error = Busy()
    if isinstance(error, RunDeleted):
        error = RunGone()
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is no such object, or this token may not see it.")
    fields = _field_errors(error)
    if fields is None and not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    status = HTTPStatus.UNPROCESSABLE_ENTITY if fields is not None else HTTPStatus(error.status_code)
    problem = {
        "type": getattr(error, "default_code", "about:blank") if fields is None else "invalid",
        "title": status.phrase,
        "status": int(status),
        "detail": "Some fields are not right; see errors." if fields is not None else str(error.detail),
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
    """Flat `field`/`message` pairs of a validation error, or None where it is another kind."""
    if isinstance(error, exceptions.ValidationError):
        return list(_flat(error.detail))
    if isinstance(error, ModelValidationError):
        return list(_flat(getattr(error, "message_dict", None) or error.messages))
    return None


def _flat(detail, path: str = ""):
    if isinstance(detail, dict):
        for key, value in detail.items():
            name = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
            yield from _flat(value, path if key == "non_field_errors" else path + name)
    elif isinstance(detail, list) and any(isinstance(item, (dict, list)) for item in detail):
        for index, item in enumerate(detail):
            yield from _flat(item, f"{path}[{index}]")
    elif isinstance(detail, list):
        for item in detail:
            yield {"field": path, "message": str(item)}
    else:
        yield {"field": path, "message": str(detail)}
