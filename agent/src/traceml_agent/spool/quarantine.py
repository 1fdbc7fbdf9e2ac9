"""What a portal refused or what is damaged, kept with the reason, so that a person can see it and `sync` can retry it.

It is in the folder `quarantine` of a spool: `RUN.WRITER.FIRST-LAST.json` holds records that travelled together and why
they were refused; `RUN.WRITER.spool` is a whole file, with its `.sent` and, in `RUN.WRITER.spool.json`, the reason. The
file `removed` has one byte for each item that was removed to make room for newer ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from typing import NamedTuple

from traceml_agent.host.private import DRAFT, bytes_of, open_regular, replaced
from traceml_agent.messages import iso, warn
from traceml_agent.spool.folder import folders
from traceml_agent.spool.names import NAME, QUARANTINE, SENT_SUFFIX, SUFFIX

#: The newest items are kept, up to this size.
MAX_BYTES = 32 * 1024 * 1024
REMOVED = "removed"
BATCH = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([A-Za-z0-9._-]{1,30})\.([0-9]+)-([0-9]+)\.json")
FOREIGN = "not a spool file of this agent"
UNTOLD = "the reason was not recorded"


class SetAside(NamedTuple):
    """An item of the quarantine. `since` is ISO 8601; `portal` is the address that refused it, or empty."""

    run_id: str
    writer: str
    what: str
    reason: str
    since: str
    portal: str
    path: str

    @property
    def is_of_a_run(self) -> bool:
        """False for something that only has the name of a spool file, such as a link."""
        return bool(self.run_id)


def keep(place: str, run_id: str, writer: str, batch: tuple[int, int], reason: str, records: list, portal: str) -> None:
    """Keep a refused batch of records of the spool folder `place`.

    Raises OSError if it can't be written; the records must then stay in the spool.
    """
    path = os.path.join(_folder(place), f"{run_id}.{writer}.{batch[0]}-{batch[1]}.json")
    content = {"reason": reason, "since": iso(time.time()), "portal": portal, "records": records}
    try:
        write(path, content)
    except (ValueError, RecursionError):
        write(path, content | {"records": [], "reason": f"{reason} (too deeply nested to be kept)"})


def set_aside(path: str, reason: str, portal: str = "") -> None:
    """Move a whole spool file to quarantine, with its `.sent` file and the reason. Never raises."""
    with contextlib.suppress(OSError):
        kept = os.path.join(_folder(os.path.dirname(path)), os.path.basename(path))
        if reason:
            write(reason_of(kept), {"reason": reason, "since": iso(time.time()), "portal": portal})
        try:
            os.replace(path, kept)
        except OSError:
            unlink(reason_of(kept))
            raise
        os.replace(sent_of(path), sent_of(kept))


def waiting(settings) -> list[SetAside]:
    """Everything set aside in any folder that may hold the spool, oldest first."""
    found = [_described(os.path.join(place, QUARANTINE, name)) for place in folders(settings) for name in _items(place)]
    return sorted(found, key=lambda each: each.since)


def removed(settings) -> int:
    """How many items were removed to make room for newer ones."""
    return sum(bytes_of(os.path.join(place, QUARANTINE, REMOVED)) for place in folders(settings))


def discard(each: SetAside) -> None:
    """Delete an item for good."""
    for path in (each.path, sent_of(each.path), reason_of(each.path)):
        unlink(path)
    unlink(os.path.join(os.path.dirname(each.path), REMOVED))


def _described(path: str) -> SetAside:
    """An item by its name and its reason."""
    name = os.path.basename(path)
    if match := BATCH.fullmatch(name):
        content = read(path)
        what = _named(content.get("records"))
    elif (match := NAME.fullmatch(name)) and _is_regular(path):
        content, what = read(reason_of(path)), "whole file"
    else:
        return SetAside("", "", name, FOREIGN, iso(_age(path)), "", path)
    reason, since, portal = (_text(content.get(word)) for word in ("reason", "since", "portal"))
    return SetAside(match[1], match[2], what, reason or UNTOLD, since or iso(_age(path)), portal, path)


def _named(records) -> str:
    if not isinstance(records, list) or not records:
        return "unreadable records"
    is_end = isinstance(records[0], dict) and records[0].get("type") == "finish"
    return "end of the run" if is_end else f"{len(records)} record{'' if len(records) == 1 else 's'}"


def _folder(place: str) -> str:
    """The quarantine of a spool folder, made if it is missing. The oldest items are removed to make room."""
    kept = os.path.join(place, QUARANTINE)
    os.makedirs(kept, mode=0o700, exist_ok=True)
    paths = [os.path.join(kept, name) for name in _items(place)]
    excess = sum(map(_size_of_item, paths)) - MAX_BYTES
    for path in sorted(paths, key=_age):
        if excess > 0:
            excess -= _size_of_item(path)
            _remove(path)
    return kept


def _remove(path: str) -> None:
    """Delete an item to make room; count it and warn."""
    if not os.path.isfile(path):
        return
    for part in (path, sent_of(path), reason_of(path)):
        unlink(part)
    with contextlib.suppress(OSError):
        counter = open_regular(os.path.join(os.path.dirname(path), REMOVED), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(counter, b".")
        os.close(counter)
    warn(f"{os.path.dirname(path)} is full: the oldest records that a portal refused were deleted")


def _items(place: str) -> list[str]:
    """The names of a quarantine's items, without their `.sent` and reason files."""
    try:
        names = sorted(os.listdir(os.path.join(place, QUARANTINE)))
    except OSError:
        return []
    return [name for name in names if name != REMOVED and not name.endswith(DRAFT) and not _is_part(name)]


def _is_part(name: str) -> bool:
    return name.endswith((SENT_SUFFIX, SUFFIX + ".json"))


def is_batch(path: str) -> bool:
    return BATCH.fullmatch(os.path.basename(path)) is not None


def reason_of(path: str) -> str:
    return path + ".json"


def sent_of(path: str) -> str:
    return path.removesuffix(SUFFIX) + SENT_SUFFIX


def _is_regular(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


def _size_of_item(path: str) -> int:
    return sum(map(bytes_of, (path, sent_of(path), reason_of(path))))


def _age(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def read(path: str) -> dict:
    """A JSON object; empty if there is none."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        with os.fdopen(open_regular(path, os.O_RDONLY), encoding="utf-8") as file:
            content = json.load(file)
        return content if isinstance(content, dict) else {}
    return {}


def write(path: str, content: dict) -> None:
    """Write a JSON object, completely or not at all."""
    with replaced(path) as file:
        file.write(json.dumps(content).encode())


def _text(value) -> str:
    return value if isinstance(value, str) else ""
