"""Times as the two databases return them to SQL by hand."""

from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime


def instant(value: Any) -> datetime | None:
    """SQLite returns times without a zone, or as text where it can't tell the column."""
    found = parse_datetime(value) if isinstance(value, str) else value
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
