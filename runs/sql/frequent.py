"""Statements of every upload."""

from typing import Any

from django.db import connection


def frequent() -> Any:
    """Return a cursor whose statements the database plans once; see the `frequent` of `traceml_site.databases`."""
    return connection.frequent()  # type: ignore[attr-defined]  # of our own two databases
