"""Read and check values of a query string."""

import uuid
from datetime import UTC, date, datetime
from math import isfinite
from urllib.parse import urlencode

from django.core.exceptions import BadRequest, ValidationError
from django.utils.dateparse import parse_datetime

from runs.text import clean_text
from traceml_agent.limits import MAX_TEXT

MOST_VALUES = 50


def asked(request, name: str, longest: int = MAX_TEXT) -> str:
    """Return a value of at most `longest` characters, or empty text.

    Raises BadRequest for text that may not be stored: PostgreSQL fails on a NUL even in a search.
    """
    return clean(request.GET.get(name, ""), name, longest)


def clean(text: str, name: str, longest: int = MAX_TEXT) -> str:
    """Return the text as it may be stored. Raises BadRequest, which names the parameter."""
    try:
        return clean_text(text, longest)
    except ValidationError as error:
        raise BadRequest(f"The parameter {name} {error.message}.") from error


def asked_list(request, name: str) -> list[str]:
    """Return all non-empty values of one name."""
    values = (clean(text, name) for text in request.GET.getlist(name)[:MOST_VALUES])
    return list(dict.fromkeys(filter(None, values)))


def asked_ids(request, name: str) -> list[uuid.UUID]:
    """Return all ids of one name, in order; invalid ids are left out."""
    return as_ids(request.GET.getlist(name))


def as_ids(texts) -> list[uuid.UUID]:
    found: dict[uuid.UUID, None] = {}
    for text in texts:
        try:
            found[uuid.UUID(text)] = None
        except ValueError:
            continue
    return list(found)


def asked_date(request, name: str) -> date | None:
    """Return a date such as 2026-05-01, or None. Raises BadRequest for an invalid date."""
    text = asked(request, name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadRequest(f"The parameter {name} must be a date such as 2026-05-01.") from error


def asked_time(request, name: str) -> datetime | None:
    """Return a time with its zone, in UTC, or None. Raises BadRequest for times that a database can't store."""
    if not (text := asked(request, name)):
        return None
    try:
        moment = parse_datetime(text)
        # A margin of one year on both sides keeps it in range in any time zone.
        if moment is None or moment.tzinfo is None or not 2 <= moment.year <= 9998:
            raise ValueError
        return moment.astimezone(UTC)
    except ValueError as error:
        raise BadRequest(f"The parameter {name} must be a time with its zone, such as 2026-01-31T12:00:00Z.") from error


def asked_number(request, name: str) -> float | None:
    """Return a finite number, or None. Raises BadRequest for anything else."""
    text = asked(request, name)
    try:
        number = float(text) if text else None
    except ValueError as error:
        raise BadRequest(f"The parameter {name} must be a number.") from error
    if number is not None and not isfinite(number):
        raise BadRequest(f"The parameter {name} must be a number.")
    return number


def link(request, **changes) -> str:
    """Return this page's query string with some values (or lists of values) changed, and without a page number."""
    values = {name: request.GET.getlist(name) for name in request.GET} | {"page": []}
    values |= {name: value if isinstance(value, list) else [value or ""] for name, value in changes.items()}
    return "?" + urlencode([(name, each) for name, all_of in values.items() for each in all_of if each != ""])


def quantity(request) -> str:
    """Return the quantity of a trend: `kg`, unless `kwh` was requested."""
    return "kwh" if request.GET.get("show") == "kwh" else "kg"
