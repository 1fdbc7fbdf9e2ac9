"""The records of a spool file: one line each, with a checksum.

A line is a CRC-32 in hex, a space and the record's JSON. A torn or damaged line is skipped. A record is `{"v": 1, "n":
sequence, "type": "header" | "update" | "finish", "body": …}`, with the bodies of docs/wire.md.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from math import isfinite

from traceml_agent import limits
from traceml_agent.host.private import open_regular

VERSION = 1
MAX_LINE_BYTES = 8 * 1024 * 1024
TYPES = ("header", "update", "finish")
#: Mappings that a run adds to as it goes on.
MERGED = ("params", "environment")
#: The lists that a body may have, each with the key that its rows must have as text.
ROWS = {"samples": "device", "metrics": "name", "devices": "key", "stages": "id", "calls": "method"}
#: Fields of a header for this machine only: the portal that the run is for, the writer whose child wrote the file, the
#: run's start by the monotonic and the wall clock, what a command's script may override, and of a run that goes on for
#: days the run of the first day and how many days came before.
LOCAL = ("portal", "child_of", "clock_s", "wall_s", "about", "first_run", "turn")
_as_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encode(record: dict) -> bytes:
    """A record as its line."""
    return sealed(_as_json(record).encode())


def sealed(text: bytes) -> bytes:
    """A line with a checksum that shows whether it is whole."""
    return b"%08x %s\n" % (zlib.crc32(text), text)


def unsealed(line: bytes) -> bytes:
    """The text of a line. Raises ValueError if it is damaged."""
    text = line[9:].rstrip(b"\n")
    if line[8:9] != b" " or int(line[:8], 16) != zlib.crc32(text):
        raise ValueError("the checksum differs")
    return text


def decode(line: bytes) -> dict | None:
    """The record of a line, or None if it is damaged, of another version or of the wrong shape."""
    try:
        record = json.loads(unsealed(line), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None
    return record if _is_record(record) else None


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def _is_record(record) -> bool:
    return (
        isinstance(record, dict)
        and record.get("v") == VERSION
        and record.get("type") in TYPES
        and type(record.get("n")) is int
        and 0 <= record["n"] < 2**53
        and _is_body(record.get("body"))
    )


def _is_body(body) -> bool:
    if not isinstance(body, dict):
        return False
    lists = [(body[name], key) for name, key in ROWS.items() if name in body]
    return all(
        isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get(key), str) for row in rows)
        for rows, key in lists
    )


def read(path: str, start: int = 0) -> Iterator[tuple[int, dict | None]]:
    """The records of a spool file from an offset on, each with the offset of its end; None for a damaged line.

    An unfinished last line is left out, since it may still be written. Raises OSError if there is no such file.
    """
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        file.seek(start)
        while line := file.readline(MAX_LINE_BYTES):
            whole = line.endswith(b"\n")
            while not line.endswith(b"\n"):
                if not (line := file.readline(MAX_LINE_BYTES)):
                    return
            yield file.tell(), decode(line) if whole else None


def is_finished(path: str) -> bool:
    """Whether a spool file has its end. Raises OSError."""
    return any(record is not None and record["type"] == "finish" for _, record in read(path))


def sync_to_disk(descriptor: int) -> None:
    """Write a file to disk, so that it survives a power loss."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def enriched(former: dict, about: dict) -> dict:
    """What was reported about a run, with what is reported now, as the portal adds to it: parameters and environment
    are merged, tags are added, and a name stays."""
    found = former | about
    found |= {name: former.get(name, {}) | about[name] for name in MERGED if name in about}
    if "tags" in about:
        found["tags"] = list(dict.fromkeys([*former.get("tags", ()), *about["tags"]]))
    return found | ({"name": former["name"]} if former.get("name") else {})


def within_limits(about: dict) -> dict:
    """What of this a portal takes at once."""
    found = about | ({"tags": about["tags"][: limits.MAX_TAGS]} if "tags" in about else {})
    for name in (name for name in MERGED if name in about):
        excess = set(limits.excess_keys(about[name]))
        found[name] = {key: value for key, value in about[name].items() if key not in excess}
    return found


def joined(abouts: Iterable[dict]) -> list[dict]:
    """The same in as few pieces as the limits allow."""
    pieces: list[dict] = []
    share = 0.0
    for about in abouts:
        share += _share_of_limits(about)
        if pieces and share > 1.0:  # or less, if keys come again
            share = _share_of_limits(enriched(pieces[-1], about))
        if pieces and share <= 1.0:
            pieces[-1] = enriched(pieces[-1], about)
        else:
            pieces.append(about)
            share = _share_of_limits(about)
    return pieces


def _share_of_limits(about: dict) -> float:
    shares = [len(about.get("tags", ())) / limits.MAX_TAGS]
    for mapping in (about[name] for name in MERGED if name in about):
        shares += [len(mapping) / limits.MAX_KEYS, limits.metadata_bytes(mapping) / limits.MAX_METADATA_BYTES]
    return max(shares)
