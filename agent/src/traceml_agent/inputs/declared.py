"""Accelerators that a user declares because nothing can measure them: `track(devices="8x TPU v5e")`.

As text `NAME`, `8x NAME` and `8x NAME @ 0.6`, several between commas, for the environment and the command line too; as
a list of these or of mappings with `name`, `count` and `utilisation`; as a mapping from names to counts or to such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from traceml_agent.messages import warn

#: Of one host, together: the portal takes 64 devices of a process, processor, memory and measured ones included.
MOST = 48
_TEXT = re.compile(r"^(?:(\d+)\s*[x×]\s+|(\d+)[x×])?(.*?\S)\s*(?:@\s*([\d.]+))?$")
_FIELDS = {"name", "count", "utilisation"}


class Declared(NamedTuple):
    """So many accelerators of a name; `utilisation`, 0 to 1, is None where nobody said how busy they are."""

    name: str
    count: int = 1  # type: ignore[assignment]  # tuples have a method of that name
    utilisation: float | None = None


def declared(given) -> list[Declared]:
    """What was declared. An entry that can't be right costs itself alone, with a warning.

    Raises ValueError for what is neither text nor a list nor a mapping.
    """
    found: list[Declared] = []
    try:
        entries = list(_entries(given))
    except Exception as error:  # noqa: BLE001 (somebody's own mapping or list)
        raise ValueError(f"must be names of devices, such as '8x TPU v5e' ({error})") from None
    for entry in entries:
        try:
            one = _one(entry)
        except Exception as error:  # noqa: BLE001 (the same)
            warn(f"a declared device is ignored: {error}")
            continue
        room = MOST - sum(each.count for each in found)
        if one.count > room:
            warn(f"declared devices beyond {MOST} are ignored")
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
            raise ValueError(f"unknown {sorted(map(str, unknown))[0]!r}; known are name, count and utilisation")
        entry = Declared(**entry)
    elif isinstance(entry, (list, tuple)):  # as a parent process hands it on
        entry = Declared(*entry)
    else:
        raise ValueError(f"a name such as 'TPU v5e' is wanted, not {type(entry).__name__}")
    return _checked(entry)


def _checked(one: Declared) -> Declared:
    name = one.name.strip() if isinstance(one.name, str) else ""
    if not name or not name.isprintable():
        raise ValueError("it has no name")
    if isinstance(one.count, bool) or int(one.count) != one.count or one.count < 1:
        raise ValueError(f"{name}: the count must be a whole number from 1, not {one.count!r}")
    used = one.utilisation
    if used is not None and (isinstance(used, bool) or not 0.0 <= float(used) <= 1.0):
        raise ValueError(f"{name}: the utilisation must lie between 0 and 1, not {used!r}")
    return Declared(name[:200], int(one.count), None if used is None else float(used))
