"""What neither database takes, refused before it is asked: the same on both, whichever page or library asks.

Forms and serializers name the field; here ends what passed them, as a cookie with a NUL that is no session's key.
"""

from collections.abc import Iterable, Mapping

from django.core.exceptions import SuspiciousOperation
from django.db import DataError


def refuse_odd_values(execute, sql, params, many, context):
    """A wrapper of a connection's queries: 400 for NUL and lone surrogates, DataError for numbers out of range.

    PostgreSQL raises ValueError for the former, SQLite OverflowError for the latter; a view knows neither.
    """
    if any(isinstance(text, str) and "\0" in text for row in (params if many else [params]) for text in _of(row)):
        raise SuspiciousOperation("Text must not contain the character NUL.")
    try:
        return execute(sql, params, many, context)
    except UnicodeEncodeError:
        raise SuspiciousOperation("Text must not contain lone surrogates.") from None
    except OverflowError as error:
        raise DataError(str(error)) from error


def _of(params) -> Iterable:
    return params.values() if isinstance(params, Mapping) else params or ()
