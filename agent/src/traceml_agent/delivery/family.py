"""Which spool files belong to a training: those it named, others of its process, and those of its children."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from traceml_agent.delivery.readdress import is_for
from traceml_agent.spool import recording
from traceml_agent.spool.files import spool_files
from traceml_agent.spool.folder import folders
from traceml_agent.spool.names import is_written_by, run_of, writer_of


class Family:
    """The files of one process, by its pid and when it began. `own` are those that it named itself."""

    def __init__(self, settings, pid: int, began: str):
        self._settings, self._pid, self._began = settings, pid, began
        self.own: list[str] = []
        self._strangers: set[str] = set()  # such as of other ranks of the job: no need to read their headers again

    def add(self, path: str) -> None:
        """Add a file that the process named."""
        self.own.append(path)

    def is_written_here(self, path: str) -> bool:
        """Whether the process itself, not one of its children, writes the file."""
        return path in self.own or is_written_by(path, self._pid, self._began)

    def found(self) -> Iterator[str]:
        """Files in the spool of the process or its children, for this portal."""
        writers = {(run_of(path), writer_of(path)) for path in self.own}
        for place in folders(self._settings):
            for path in spool_files(place):
                if path in self._strangers:
                    continue
                header = None if is_written_by(path, self._pid, self._began) else _header(path)
                if header is not None and (run_of(path), header.get("child_of")) not in writers:
                    self._strangers |= {path} if header else set()  # without a header it is new
                elif is_for(path, self._settings):
                    yield path


def _header(path: str) -> dict:
    with contextlib.suppress(OSError):
        return next((record["body"] for _, record in recording.read(path) if record), {})
    return {}
