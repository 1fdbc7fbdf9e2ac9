"""Removes what a portal refuses from a body, so that the rest of it arrives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

#: Without these a body is meaningless.
NEEDED = ("model", "started_at", "status", "ended_at", "writer", "writer_started_at")
#: The minimum description of a device. Its other facts can be removed one by one.
DEVICE = ("key", "kind", "name")
#: Words for a row of each list, with the key of its name.
ROWS = {
    "tags": ("tag", None),
    "devices": ("device", "key"),
    "samples": ("sample of", "device"),
    "stages": ("stage", "name"),
    "metrics": ("metric", "name"),
    "calls": ("calls of", "method"),
    "left_out": ("note on", "what"),
}
METADATA = {"params": "parameter", "environment": "environment"}
_STEP = re.compile(r'\.?([^.\["\]]+)|\[([0-9]{1,9})\]|\[("(?:[^"\\]|\\.)*")\]')


def prune(body: dict, fields: list[str]) -> tuple[dict, list[str]]:
    """`body` without the rows and keys that a problem names, and what was removed, in words.

    The paths are the portal's: `metrics[3].value`, `tags[2]`, `params.lr`, `params["a.b"]`, `params`, `name`. A path
    that is not in the body, or that the body needs, removes nothing; if nothing is removed, there is no use in sending
    the body again. The portal names at most a hundred paths at a time.
    """
    paths = {path for field in fields if (path := _target(field))}
    kept, taken = _copy(body), []
    # From the end of each list, since rows after a removed one move up.
    for path in sorted(paths, key=lambda path: [(isinstance(step, int), step) for step in path], reverse=True):
        owner = _at(kept, path[:-1])
        if _has(owner, path[-1]):
            taken.append(_words(path, owner[path[-1]]))
            del owner[path[-1]]
    return kept, taken[::-1]


def _target(field: str) -> tuple:
    """The path of what is removed for a named field; empty if nothing may be."""
    steps = tuple(_steps(field))
    if not steps or steps[0] in NEEDED:
        return ()
    if steps[0] in METADATA:
        numbers = [index for index, step in enumerate(steps) if isinstance(step, int)]
        return steps[: numbers[0]] if numbers else steps  # without one of its items, a list would mean something else
    if steps[0] == "devices" and len(steps) > 2 and steps[2] not in DEVICE:
        return steps[:3]
    return steps[:2] if len(steps) > 1 and isinstance(steps[1], int) else steps[:1]


def _steps(field: str) -> Iterator[str | int]:
    """`params["a.b"][3]` as "params", "a.b", 3; nothing for an invalid path."""
    steps: list[str | int] = []
    at = 0
    while at < len(field):
        match = _STEP.match(field, at)
        if match is None:
            return
        name, index, quoted = match.groups()
        try:
            steps.append(name if name else int(index) if index else json.loads(quoted))
        except ValueError:
            return
        at = match.end()
    yield from steps


def _at(body, steps: tuple):
    for step in steps:
        if not _has(body, step):
            return None
        body = body[step]
    return body


def _has(owner, step: str | int) -> bool:
    if isinstance(owner, list):
        return isinstance(step, int) and step < len(owner)
    return isinstance(owner, dict) and step in owner


def _copy(value):
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _words(path: tuple, value) -> str:
    """The name of what is removed: `metric 'loss'`, `parameter 'lr'`, `name`."""
    first = path[0]
    if first in METADATA and len(path) > 1:
        return f"{METADATA[first]} {'.'.join(map(str, path[1:]))!r}"
    if first not in ROWS or len(path) == 1:
        return f"all {first}" if isinstance(value, (list, dict)) else str(first)
    word, key = ROWS[first]
    if len(path) > 2:
        return f"{path[2]} of a {word}"
    name = value.get(key) if isinstance(value, dict) else value
    return f"{word} {str(name)[:100]!r}"
