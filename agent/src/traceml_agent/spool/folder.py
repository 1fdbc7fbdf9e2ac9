"""The folder of the spool: where it may be, and which of these places can be used."""

from __future__ import annotations

import os

from traceml_agent.host import private
from traceml_agent.host.private import boards_folder, is_private, make_private
from traceml_agent.messages import warn
from traceml_agent.spool.names import BOARD_SUFFIX, SUFFIX


def places(settings) -> list[str]:
    """Folders that may hold the spool, best first."""
    home = os.path.expanduser("~")
    state = os.environ.get("XDG_STATE_HOME") or ""
    name = f"traceml-{os.getuid() if hasattr(os, 'getuid') else os.environ.get('USERNAME', 'user')}"
    found = [
        settings.spool_dir,
        os.path.join(state, "traceml") if os.path.isabs(state) else "",
        os.path.join(home, ".local", "state", "traceml") if os.path.isabs(home) else "",
        os.path.join(os.environ.get("TMPDIR") or os.environ.get("TEMP") or "/tmp", name),  # noqa: S108 (owner checked)
        os.path.join(private.MEMORY_FOLDER, name) if os.path.isdir(private.MEMORY_FOLDER) else "",
    ]
    return [place for place in dict.fromkeys(found) if place]


def folder(settings) -> str | None:
    """The folder for new spool files, made if it is missing; None if no place is writable."""
    return next((place for place in places(settings) if _is_taken(place, settings, make=True)), None)


def folders(settings) -> list[str]:
    """Every folder that may hold files of earlier runs, which may not have been able to write where this one does."""
    return [place for place in places(settings) if _is_taken(place, settings, make=False)]


def is_usable(place: str) -> bool:
    """Whether a folder exists and is writable."""
    return bool(place) and os.access(place, os.W_OK | os.X_OK)


def _is_taken(place: str, settings, make: bool) -> bool:
    """Whether we may write there. A place that nobody chose must be ours alone, and not a link."""
    try:
        if make:
            make_private(place)
        if place != settings.spool_dir and not is_private(place):
            warn(f"spool folder {place} is not used: it belongs to another user or is a link")
            return False
        return is_usable(place)
    except OSError:
        return False


def board_of(path: str) -> str:
    """The path of the board of a spool file's writer; empty if this user has no shared memory."""
    place = boards_folder()
    return os.path.join(place, os.path.basename(path).removesuffix(SUFFIX) + BOARD_SUFFIX) if place else ""


def is_in_memory(place: str, settings) -> bool:
    return place != settings.spool_dir and os.path.dirname(place) == private.MEMORY_FOLDER
