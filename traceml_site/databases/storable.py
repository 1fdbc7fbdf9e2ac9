"""Refuse values that no database can store, before the query, the same on both databases.

Forms and serializers name the field. This catches what they don't see, such as a session cookie with a NUL.
"""

from collections.abc import Mapping

from django.core.exceptions import SuspiciousOperation
from django.db import DataError


def refuse_odd_values(execute, sql, params, many, context):
    """Query wrapper: SuspiciousOperation (400) for NUL and lone surrogates, DataError for numbers out of range.

    Otherwise PostgreSQL raises ValueError for the former, and SQLite OverflowError for the latter.
    """
    if any(map(_has_nul, params if many else [params])):
        raise SuspiciousOperation("Text must not contain the character NUL.")
    try:
        return execute(sql, params, many, context)
    except UnicodeEncodeError:
        raise SuspiciousOperation("Text must not contain lone surrogates.") from None
    except OverflowError as error:
        raise DataError(str(error)) from error


def _has_nul(params) -> bool:
    """Whether a text has it; a plain loop, because an import of 100,000 runs passes 20 million values."""
    for value in params.values() if isinstance(params, Mapping) else params or ():
        if type(value) is str and "\0" in value:
            return True
    return False
