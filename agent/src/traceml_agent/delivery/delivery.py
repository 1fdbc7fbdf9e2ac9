"""Delivers a spool file to the portal: which records make a batch, what was answered, and what goes to quarantine."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from traceml_agent.delivery import client as portal
from traceml_agent.delivery.client import Answer
from traceml_agent.delivery.pruning import prune
from traceml_agent.delivery.sent import Batch, Sent
from traceml_agent.host.private import open_regular
from traceml_agent.spool import aftermath, board, quarantine, recording
from traceml_agent.spool.files import has_living_writer
from traceml_agent.spool.names import NAME
from traceml_agent.spool.recording import enriched

MAX_BATCH_ROWS = 1000
MAX_BATCH_BYTES = 512 * 1024
#: How much of a file is in memory at once, however much an outage left in it.
SLICE_BYTES = 4 * 1024 * 1024
#: How often the portal may refuse further values of a body before the whole body counts as refused.
MAX_PRUNINGS = 5
_SETTLED = (portal.DELIVERED, portal.QUARANTINE)


class Delivery:
    """Delivers one spool file, again and again as it grows."""

    def __init__(self, path: str):
        self.path = path
        match = NAME.fullmatch(os.path.basename(path))
        if match is None:
            raise ValueError(f"{path} is not named like a spool file")
        self.run_id, self.writer = match.groups()
        self.header: dict | None = None
        #: True once the file is gone: fully delivered, dropped, or set aside.
        self.done = False
        #: Called with the number of bytes of the file that are done.
        self.progress: Callable[[int], None] = lambda read_bytes: None
        self._sent = Sent(path)
        self._file: BinaryIO | None = None
        self._read_bytes = 0
        self._pending: dict[int, tuple[int, dict]] = {}  # by sequence number: the line's length, and the record
        #: What the portal refused: what, why, how many.
        self.refused: list[tuple[str, str, int]] = []
        self._handed_on: dict[tuple[str, str], int] = {}
        #: Header and finish of a run that assumed success because its process ended.
        self.unsure: tuple[dict, dict] | None = None
        #: Why the disk keeps the file from being delivered.
        self.trouble = ""
        self._alive = True
        self._damaged = False
        self._finished = False
        self._heard_at = time.monotonic()

    def deliver(self, client: portal.Client, header_only: bool = False, silence_s: float = math.inf) -> Answer:
        """Send what is not acknowledged yet, in order. Stops at the first record that can't be delivered now.

        A run with nothing new for `silence_s` is announced again, so that the portal does not think that it is lost. A
        run whose writer died gets the end that it could not write.
        """
        try:
            os.stat(self.path)
            self._begin_again_with_another_file()
            with self._sent.locked() as held:
                if not held:
                    return Answer(portal.BUSY, "another process is delivering it")
                # Checked before reading, so that what a writer appends before it dies is read before the file goes.
                self._alive = has_living_writer(self.path)
                answer = self._send_all(client, header_only)
                is_dead = not (self._alive or header_only or self._finished or self.done)
                if is_dead and answer.outcome in _SETTLED and aftermath.conclude(self.path):
                    answer = self._send_all(client, header_only)
                if self._alive and self._is_silent(silence_s) and answer.outcome == portal.DELIVERED:
                    answer = self._announce(client)
                return self._conclude(answer)
        except FileNotFoundError:
            self._leave(os.unlink)  # the `.sent` file may have been made again after the spool file was deleted
            return Answer(portal.DELIVERED, "another process delivered it")
        except OSError as error:
            self.trouble = f"{self.path} can't be used ({error.strerror or error})"
            return Answer(portal.BUSY, self.trouble)

    def _begin_again_with_another_file(self) -> None:
        """Start over if the folder was emptied and the writer made a new file: nothing known of the old one is valid.

        The old file stays open, or the new one might get its inode. Raises OSError.
        """
        if self._file is None or os.fstat(self._file.fileno()).st_nlink == 0:
            self._file = os.fdopen(open_regular(self.path, os.O_RDONLY), "rb")
            self._sent, self._read_bytes, self._pending = Sent(self.path), 0, {}

    def _is_silent(self, silence_s: float) -> bool:
        known = self.header is not None and not self._finished and not self.done
        return known and time.monotonic() - self._heard_at > silence_s

    def _conclude(self, answer: Answer) -> Answer:
        """Delete the file if its end is delivered. A file with damaged lines is kept, for a person to look at.

        A file without an end is never deleted while its writer lives, whatever the portal says.
        """
        if answer.outcome == portal.GONE:
            self._leave(_nothing if self._alive else os.unlink)
        elif answer.outcome in _SETTLED and not self.done and (self._finished or self._is_hopeless()):
            if self._damaged or os.path.getsize(self.path) > self._read_bytes:
                reason = "some lines were damaged; the rest is delivered"
                self._set_aside(reason)
                return Answer(portal.QUARANTINE, reason)
            self._leave(os.unlink)
        return answer

    def _is_hopeless(self) -> bool:
        """Whether a dead writer left no header, so that no end can be written."""
        return not self._alive and self.header is None

    def _send_all(self, client: portal.Client, header_only: bool) -> Answer:
        result = Answer(portal.DELIVERED)
        while self._fill():
            for batch, records in self._batches(header_only):
                answer = self._send(client, batch, records)
                if answer.outcome not in (*_SETTLED, portal.BUSY) or self.done:
                    return answer
                result = result if answer.outcome == portal.DELIVERED else answer
            self.progress(self._read_bytes)
            if header_only or result.outcome == portal.BUSY:
                break
        return result

    def _fill(self) -> bool:
        """Read until a slice of the file is in memory. Returns whether there is anything to send."""
        self._pending = {n: each for n, each in self._pending.items() if not self._sent.is_acknowledged(n)}
        size, until, start = sum(length for length, _ in self._pending.values()), -1, self._read_bytes
        for end, record in recording.read(self.path, self._read_bytes):
            if record is None:
                self._damaged = True
            else:
                if size > SLICE_BYTES and record["n"] > until:
                    break
                until = (self._sent.batch_of(record["n"]) or (0, -1))[1]  # a batch is sent whole
                size += self._take(record, end - self._read_bytes)
            self._read_bytes = end
        if self._read_bytes > start:
            self._sync()
        return bool(self._pending)

    def _take(self, record: dict, length: int) -> int:
        """Keep a record that is still to be sent. Returns the bytes that this takes."""
        if record["type"] == "header":
            self.header = record["body"]
        if self._sent.is_acknowledged(record["n"]):
            self._finished |= record["type"] == "finish"
            return 0
        self._pending[record["n"]] = (length, record)
        return length

    def _sync(self) -> None:
        """Write the file to disk: if a power failure lost sent records, their repeat would be a different batch."""
        descriptor = open_regular(self.path, os.O_RDONLY)
        with contextlib.suppress(OSError):
            recording.sync_to_disk(descriptor)
        os.close(descriptor)

    def _batches(self, header_only: bool) -> list[tuple[Batch, list[dict]]]:
        """The pending records in batches: as planned before, else planned now."""
        pending = [each for _, each in sorted(self._pending.items()) if not header_only or each[1]["type"] == "header"]
        self._sent.plan(list(_new_batches([each for each in pending if self._batch_of(each[1]) is None])))
        by_batch = itertools.groupby((record for _, record in pending), self._batch_of)
        return [(batch, list(members)) for batch, members in by_batch if batch is not None]

    def _batch_of(self, record: dict) -> Batch | None:
        return self._sent.batch_of(record["n"])

    def _send(self, client: portal.Client, batch: Batch, records: list[dict]) -> Answer:
        answer = self._put(client, batch, records)
        if answer.outcome == portal.RUN_UNKNOWN:
            answer = self._announce(client)
            if answer.outcome == portal.DELIVERED:
                answer = self._put(client, batch, records)
            if answer.outcome == portal.RUN_UNKNOWN:
                return Answer(portal.RETRY, answer.reason)
        if answer.outcome in _SETTLED and not self.done:
            return self._settled(answer, batch, records)
        return answer

    def _put(self, client: portal.Client, batch: Batch, records: list[dict]) -> Answer:
        body = records[0]["body"]
        try:
            if records[0]["type"] == "header":
                return self._announce(client)
            if records[0]["type"] == "finish":
                return self._put_finish(client, body)
            sent = self._from_writer() | merged([record["body"] for record in records])
            if (self.header or {}).get("child_of"):
                self._hand_on(sent.pop("left_out", []))
            batch_id = f"{self.writer}-{batch[0]}-{batch[1]}"
            return self._pruned(sent, lambda kept: client.put_batch(self.run_id, batch_id, portal.encode(kept)))
        except (ValueError, RecursionError) as error:
            return Answer(portal.QUARANTINE, f"the record can't be encoded ({type(error).__name__})")

    def _hand_on(self, left_out: list[dict]) -> None:
        """Let the parent's run count what a child left out: for the portal both are one writer with one list."""
        for row in left_out:
            kind = str(row.get("what")), str(row.get("reason"))
            count = row.get("count", 0) - self._handed_on.get(kind, 0)
            if count > 0:
                self.refused.append((*kind, count))
                self._handed_on[kind] = row["count"]

    def _put_finish(self, client: portal.Client, body: dict) -> Answer:
        """Send the end of a run. The end of a child's file is not the end of its run."""
        if (self.header or {}).get("child_of"):
            return Answer(portal.DELIVERED)
        finish = {name: value for name, value in body.items() if name != "unsure"}
        self.unsure = (self.header or {}, finish) if body.get("unsure") else None
        return self._pruned(self._from_writer() | finish, lambda kept: client.put_finish(self.run_id, kept))

    def _announce(self, client: portal.Client) -> Answer:
        """Send the header. Without one, or if it is refused, nothing can be delivered and the file is set aside."""
        if self.header is None:
            answer = Answer(portal.QUARANTINE, "the file has no readable header")
        else:
            body = {name: value for name, value in self.header.items() if name not in recording.LOCAL}
            answer = self._pruned(body, lambda kept: client.put_run(self.run_id, kept))
        if answer.outcome == portal.QUARANTINE:
            if self._alive:
                return answer._replace(outcome=portal.HELD)
            self._set_aside(answer.reason)
        return answer

    def _pruned(self, body: dict, put: Callable[[dict], Answer]) -> Answer:
        """Send a body. If the portal refuses single values, send it without them."""
        answer = self._heard(put(body))
        for _ in range(MAX_PRUNINGS):
            if answer.outcome != portal.QUARANTINE or not answer.fields:
                break
            body, removed = prune(body, list(answer.fields))
            if not removed:
                break
            self.refused += [(what, answer.reason, 1) for what in removed]
            answer = self._heard(put(body))
        return answer

    def _heard(self, answer: Answer) -> Answer:
        if answer.outcome == portal.DELIVERED:
            self._heard_at = time.monotonic()
        return answer

    def _settled(self, answer: Answer, batch: Batch, records: list[dict]) -> Answer:
        """Mark a batch as delivered or set aside. If a refused batch can't be written to disk, it stays in the
        spool."""
        if answer.outcome == portal.QUARANTINE:
            place, portal_url = os.path.dirname(self.path), self._portal()
            try:
                quarantine.keep(place, self.run_id, self.writer, batch, answer.reason, records, portal_url)
            except OSError as error:
                self.trouble = (
                    f"what the portal refused can't be set aside ({error.strerror or error}): {answer.reason}"
                )
                return Answer(portal.BUSY, self.trouble)
            self.refused.append(("records", answer.reason, len(records)))
        self._sent.acknowledge(batch)
        self._finished |= records[0]["type"] == "finish"
        return answer

    def _from_writer(self) -> dict:
        """The writer of the records; a child's records belong to its parent."""
        header = self.header or {}
        started_at = header.get("writer_started_at")
        writer = header.get("child_of") or self.writer
        return {"writer": writer} | ({"writer_started_at": started_at} if started_at else {})

    def _set_aside(self, reason: str) -> None:
        self.refused.append(("the whole file", reason, 1))
        self._leave(lambda path: quarantine.set_aside(path, reason, self._portal()))

    def _portal(self) -> str:
        return str((self.header or {}).get("portal") or "")

    def _leave(self, way) -> None:
        """Delete the file or set it aside. Its `.sent` file stays as long as the file does."""
        self.done = True
        if self._file is not None:
            self._file.close()
            self._file = None
        with contextlib.suppress(OSError):
            way(self.path)
        if not os.path.lexists(self.path):
            board.discard(self.path)
            with contextlib.suppress(OSError):
                os.unlink(self._sent.path)


def _nothing(path: str) -> None:
    """Do nothing to a file that stays."""


def _new_batches(pending: list[tuple[int, dict]]) -> Iterator[Batch]:
    """Batches of consecutive updates, up to the limits. A header or finish is a batch of its own."""
    first, last, size, rows = -1, -2, 0, 0
    abouts: list[dict] = []
    for length, record in pending:
        n, weight = record["n"], _weight(record)
        fits = n == last + 1 and size + length <= MAX_BATCH_BYTES and rows + weight <= MAX_BATCH_ROWS
        about = [record["body"]["about"]] if record["type"] == "update" and "about" in record["body"] else []
        abouts = recording.joined(abouts + about)
        if not fits or len(abouts) > 1:
            if first >= 0:
                yield first, last
            first, size, rows, abouts = n, 0, 0, about
        last, size, rows = n, size + length, rows + weight
    if first >= 0:
        yield first, last


def _weight(record: dict) -> int:
    """The rows of an update. A header or finish fills a batch."""
    if record["type"] != "update":
        return MAX_BATCH_ROWS + 1
    return max(len(record["body"].get(name) or ()) for name in recording.ROWS)


def merged(bodies: list[dict]) -> dict:
    """One batch body from several updates: all samples and metrics, and the latest of devices, stages and calls."""
    result: dict = {}
    for name, key in recording.ROWS.items():
        rows = [row for body in bodies for row in body.get(name) or ()]
        result[name] = rows if name in ("samples", "metrics") else list({row[key]: row for row in rows}.values())
    for body in bodies:
        result |= {name: body[name] for name in ("left_out", "overlaps") if name in body}
        if "about" in body:
            result["about"] = enriched(result.get("about", {}), body["about"])
    return result
