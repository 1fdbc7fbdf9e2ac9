"""What has not reached its portal: runs in the spool, for which address, and what is set aside and why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from traceml_agent.delivery.readdress import is_same
from traceml_agent.figures import counted
from traceml_agent.spool import file, quarantine, recording
from traceml_agent.spool.files import has_living_writer, spool_files
from traceml_agent.spool.folder import folders
from traceml_agent.spool.names import NAME

#: The last record is shorter than this, so it is found without reading the whole file.
TAIL_BYTES = 2 * file.RESERVED_BYTES


class WaitingFile(NamedTuple):
    """A spool file, with what one process recorded of a run. `portal` is empty if none was configured."""

    path: str
    run_id: str
    writer: str
    model: str
    started_at: str
    portal: str


class Backlog:
    """What is in the spool and in quarantine at one moment.

    `here` is for the portal in the settings, `nowhere` was recorded without one, `elsewhere` is by other address, and
    `under_way` are files of living processes.
    """

    def __init__(self, settings):
        self.url = settings.url
        self.here: list[WaitingFile] = []
        self.nowhere: list[WaitingFile] = []
        self.elsewhere: dict[str, list[WaitingFile]] = {}
        self.under_way: list[WaitingFile] = []
        for place in folders(settings):
            for path in spool_files(place):
                self._take(path)
        self.set_aside = quarantine.waiting(settings)
        self.removed = quarantine.removed(settings)

    def _take(self, path: str) -> None:
        try:
            is_alive, each = has_living_writer(path), read(path)
        except OSError:  # delivered in the meantime
            return
        if is_alive:
            self.under_way.append(each)
        elif not each.portal:
            self.nowhere.append(each)
        elif self.url and is_same(each.portal, self.url):
            self.here.append(each)
        else:
            self.elsewhere.setdefault(each.portal, []).append(each)

    @property
    def files(self) -> list[WaitingFile]:
        """All waiting files, for any portal."""
        return [*self.here, *self.nowhere, *(each for files in self.elsewhere.values() for each in files)]

    @property
    def is_empty(self) -> bool:
        """Whether everything recorded so far has arrived. Files that never belonged to a run don't count."""
        return not self.files and not any(each.is_of_a_run for each in self.set_aside)

    def lines(self) -> Iterator[str]:
        """The whole backlog in sentences."""
        yield from self.waiting_lines()
        yield from self.set_aside_lines()

    def waiting_lines(self) -> Iterator[str]:
        """What is waiting, for which address, and how to send it."""
        if self.here:
            yield f"{_waiting(self.here)} for {self.url}."
        if self.nowhere:
            yield f"{_recorded(self.nowhere)} without a portal{self._by('traceml-agent sync')}"
        for address, files in self.elsewhere.items():
            yield f"{_waiting(files)} for {address}{self._by('traceml-agent sync --all', ', another address')}"
        if self.under_way:
            yield f"{_runs(self.under_way)} {_is(_count(self.under_way))} in progress."

    def set_aside_lines(self) -> Iterator[str]:
        """A line for each run and reason, whatever the number of items."""
        alike: dict[tuple[str, str, str], list[quarantine.SetAside]] = {}
        for each in self.set_aside:
            alike.setdefault((each.run_id, each.reason, each.portal), []).append(each)
        for (run_id, reason, portal), same in alike.items():
            what = same[0].what if len(same) == 1 else f"{len(same)} parts"
            name = f"{run_id} ({what})" if run_id else what
            by = f", refused by {portal}" if portal else ""
            yield f"{name}: set aside on {same[0].since[:10]}{by}: {reason}"
        if self.removed:
            yield f"{counted(self.removed, 'older item')} deleted from quarantine to make room."

    def _by(self, command: str, aside: str = "") -> str:
        """How to send files that are for no portal or another one to this one."""
        return f"{aside}. Send to {self.url} with `{command}`." if self.url else "."


def read(path: str) -> WaitingFile:
    """A file's description from its name and header. Raises OSError."""
    match = NAME.fullmatch(os.path.basename(path))
    headers = (record["body"] for _, record in recording.read(path) if record and record["type"] == "header")
    header: dict = next(headers, {})
    run_id, writer = match.groups() if match else ("", "")
    model, started_at, portal = (_text(header.get(name)) for name in ("model", "started_at", "portal"))
    return WaitingFile(path, run_id, writer, model, started_at, portal)


def dropped_records(files: Iterable[WaitingFile]) -> int:
    """The number of records that the runs left out, from their last records."""
    return sum(_dropped(each.path) for each in files)


def _dropped(path: str) -> int:
    try:
        found = recording.read(path, max(0, os.path.getsize(path) - TAIL_BYTES))
        ends = [record["body"] for _, record in found if record and record["type"] == "finish"]
    except OSError:
        return 0
    count = ends[-1].get("dropped_records") if ends else 0
    return count if isinstance(count, int) else 0


def _count(files: Iterable[WaitingFile]) -> int:
    return len({each.run_id for each in files})


def _runs(files: list[WaitingFile]) -> str:
    return counted(_count(files), "run")


def _waiting(files: list[WaitingFile]) -> str:
    return f"{_runs(files)} {_is(_count(files))} waiting"


def _recorded(files: list[WaitingFile]) -> str:
    return f"{_runs(files)} {'was' if _count(files) == 1 else 'were'} recorded"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _text(value) -> str:
    return value if isinstance(value, str) else ""
