"""Accelerators that a user declares because nothing can measure them: `track(devices="8x TPU v5e")`.

As text: `NAME`, `8x NAME` or `8x NAME @ 0.6`, several separated by commas (also in the environment and on the command
line). As a list of such texts, or of mappings with `name`, `count` and `utilisation`. As a mapping from names to counts
or to such mappings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from traceml_agent.messages import let_handlers_through, warn

#: Per host. The portal accepts 64 devices per process, including processor, memory and measured ones.
MOST = 48
_TEXT = re.compile(r"^(?:(\d+)\s*[x×]\s+|(\d+)[x×])?(.*?\S)\s*(?:@\s*([\d.]+))?$")
_FIELDS = {"name", "count", "utilisation"}


class Declared(NamedTuple):
    """`count` accelerators of one name; `utilisation`, 0 to 1, is None if it was not given."""

    name: str
    count: int = 1  # type: ignore[assignment]  # tuples have a method of that name
    utilisation: float | None = None


def declared(given) -> list[Declared]:
    """The declared accelerators. An invalid entry is ignored with a warning.

    Raises ValueError for anything but text, a list or a mapping.
    """
    found: list[Declared] = []
    try:
        entries = list(_entries(given))
    except Exception as error:  # noqa: BLE001 (a mapping or list of the user's)
        let_handlers_through(error)
        raise ValueError(f"must be names of devices, such as '8x TPU v5e' ({error})") from None
    for entry in entries:
        try:
            one = _one(entry)
        except Exception as error:  # noqa: BLE001 (the same)
            let_handlers_through(error)
            warn(f"a declared device is ignored: {error}")
            continue
        room = MOST - sum(each.count for each in found)
        if one.count > room:
            warn(f"only the first {MOST} declared devices are used")
        if room:
            found.append(one._replace(count=min(one.count, room)))
    return found


def _entries(given) -> Iterator:
    if isinstance(given, str):
        yield from (part for part in re.split(r"[,;\n]", given) if part.strip())
    elif isinstance(given, Mapping) and not given.keys() & _FIELDS:
        for name, about in given.items():
            yield dict(about, name=name) if isinstance(about, Mapping) else {"name": name, "count": about}
    elif isinstance(given, Mapping):
        yield given
    elif isinstance(given, (list, tuple)):
        for each in given:
            yield from _entries(each) if isinstance(each, Mapping) else [each]
    else:
        raise TypeError(f"got {type(given).__name__}")


def _one(entry) -> Declared:
    if isinstance(entry, str) and (match := _TEXT.match(entry.strip())):
        spaced, glued, name, utilisation = match.groups()
        entry = Declared(name, int(spaced or glued or 1), None if utilisation is None else float(utilisation))
    elif isinstance(entry, Mapping):
        if unknown := entry.keys() - _FIELDS:
            raise ValueError(f"unknown key {sorted(map(str, unknown))[0]!r}; use name, count and utilisation")
        entry = Declared(**entry)
    elif isinstance(entry, (list, tuple)):  # as a parent process passes it on
        entry = Declared(*entry)
    else:
        raise ValueError(f"expected a name such as 'TPU v5e', not {type(entry).__name__}")
    return _checked(entry)


def _checked(one: Declared) -> Declared:
    name = one.name.strip() if isinstance(one.name, str) else ""
    if not name or not name.isprintable():
        raise ValueError("the name is missing")
    if isinstance(one.count, bool) or int(one.count) != one.count or one.count < 1:
        raise ValueError(f"{name}: count must be a whole number of at least 1, not {one.count!r}")
    used = one.utilisation
    if used is not None and (isinstance(used, bool) or not 0.0 <= float(used) <= 1.0):
        raise ValueError(f"{name}: utilisation must be between 0 and 1, not {used!r}")
    return Declared(name[:200], int(one.count), None if used is None else float(used))
