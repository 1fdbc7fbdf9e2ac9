"""What a page was asked for in its query string."""

from django.core.exceptions import BadRequest, ValidationError

from runs.text import clean_text


def asked(request, name: str) -> str:
    """A value of the query string, empty where it is missing.

    Raises BadRequest for text that no name can have: PostgreSQL fails on a NUL even in a search.
    """
    try:
        return clean_text(request.GET.get(name, ""))
    except ValidationError as error:
        raise BadRequest(f"{name} {error.message}") from error


def quantity(request) -> str:
    """What a trend shows: `kg` unless `kwh` was asked for."""
    return "kwh" if request.GET.get("show") == "kwh" else "kg"
