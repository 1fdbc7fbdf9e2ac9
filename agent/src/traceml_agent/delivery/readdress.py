"""Which portal a spool file is for, and how `traceml-agent sync` gives it another one."""

from __future__ import annotations

import contextlib
import os

from traceml_agent.delivery.sent import Sent
from traceml_agent.host.private import DRAFT, open_regular, replaced
from traceml_agent.inputs import config
from traceml_agent.spool import recording


def portal_of(path: str) -> str:
    """The address in a spool file's header; empty if it has none. Raises OSError."""
    return _portal(_header(path)[2])


def _portal(header: dict | None) -> str:
    address = header["body"].get("portal") if header else ""
    return address if isinstance(address, str) else ""


def is_same(address: str, url: str) -> bool:
    """Whether two addresses are the same portal, by scheme, host and port, or by their text if they are not
    addresses."""
    return (config.origin_of(address) or address) == (config.origin_of(url) or url)


def is_for(path: str, settings) -> bool:
    """Whether a spool file is for the portal in the settings. One for no portal is only sent on request."""
    with contextlib.suppress(OSError):
        portal = portal_of(path)
        return bool(portal) and is_same(portal, settings.url)
    return False


def readdress(path: str, url: str) -> bool:
    """Address a dead writer's file to the portal at `url`; False if another process is delivering it.

    What another portal acknowledged is forgotten, so that everything arrives at this one. The file is replaced by a
    copy, in which damaged lines stay as they are. Raises OSError.
    """
    if is_same(portal_of(path), url):
        return True
    sent = Sent(path)
    with sent.locked() as held:
        if not held:
            return False
        start, end, header = _header(path)  # again, since another process may have been first
        if header is None or is_same(_portal(header), url):
            return True
        if _portal(header):
            os.truncate(sent.path, 0)
        _copy(path, start, end, header, recording.encode(header | {"body": header["body"] | {"portal": url}}))
    return True


def _header(path: str) -> tuple[int, int, dict | None]:
    """Where the header's line starts and ends, and its record."""
    start = 0
    for end, record in recording.read(path):
        if record and record["type"] == "header":
            return start, end, record
        start = end
    return 0, 0, None


def _copy(path: str, start: int, end: int, header: dict, line: bytes) -> None:
    """Replace the header, which is between `start` and `end`. The file is complete at any moment."""
    import glob  # imported late, since a training imports this module too
    import shutil

    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as old:
        before = old.read(start)
        if recording.decode(old.read(end - start)) != header:
            return  # where locks don't work, another process replaced the file in the meantime
        with replaced(path) as new:
            new.write(before)
            new.write(line)
            shutil.copyfileobj(old, new)
            new.flush()
            recording.sync_to_disk(new.fileno())
            written = os.fstat(old.fileno())
            os.utime(new.fileno(), ns=(written.st_atime_ns, written.st_mtime_ns))  # files are sorted by age
    # What a killed process left. One that still writes fails by it as if the file were gone, and goes on with this one.
    for draft in glob.glob(glob.escape(path) + ".*" + DRAFT):
        with contextlib.suppress(OSError):
            os.unlink(draft)
