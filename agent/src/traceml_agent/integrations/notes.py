"""Notes in the names of stages: `candidate 3 (C=0.1, kernel=rbf)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from traceml_agent import limits

MOST_OF_A_VALUE = 50


def noted(name: str, values: Mapping, states: Iterable[str] = ()) -> str:
    """A name with values and states in parentheses, as many as a name has room for."""
    note = ", ".join([*(f"{key}={_short(value)}" for key, value in values.items()), *states])
    room = limits.MAX_TEXT - len(name) - len(" ()")
    return f"{name} ({note if len(note) <= room else f'{note[: room - 1]}…'})" if note else name


def _short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:MOST_OF_A_VALUE]
