"""Django's SQLite, whose writers take turns: who has waited longest looks most often whether it is theirs.

SQLite's own waiters look again after up to 0.1 s, and whoever comes at the right moment goes first: with sixteen
clients one upload in a hundred waited for seconds. The turn is a lock of a file beside the database; what holds for the
data is SQLite's own lock, which is taken after it as ever.

Before the turn there is the line: of all uploads of a project one at a time waits for the turn, so that a project with
a hundred connections keeps the others waiting for no longer than one with a single one.
"""

import contextlib
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.db.backends.sqlite3 import base, creation

from traceml_site.databases.storable import refuse_odd_values

try:
    import fcntl
except ImportError:  # Windows: SQLite's own waiting
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".turn"
#: How long one who has just come sleeps before it looks again, and how much shorter each second of waiting makes that.
LOOK_AGAIN_S, SHORTER_BY, LEAST_S = 0.01, 0.01, 0.0005
#: The share of its time in the line for which the next of a line lets others pass, a hundredth of a second at most.
LINE_LETS_PASS = 128


class DatabaseCreation(creation.DatabaseCreation):
    def _destroy_test_db(self, test_database_name, verbosity):
        super()._destroy_test_db(test_database_name, verbosity)  # type: ignore[misc]  # the stubs have the public part
        Path(f"{test_database_name}{SUFFIX}").unlink(missing_ok=True)


class DatabaseWrapper(base.DatabaseWrapper):
    creation_class = DatabaseCreation
    _turn = -1

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.execute_wrappers.append(refuse_odd_values)

    def _start_transaction_under_autocommit(self):
        self._wait_for_turn()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # the stubs have the public part
        except BaseException:
            self._pass_on()
            raise

    def _commit(self):
        try:
            return super()._commit()  # type: ignore[misc]
        finally:
            self._pass_on()

    def _rollback(self):
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._pass_on()

    def _close(self):
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self._pass_on()

    def _wait_for_turn(self) -> None:
        """Take the turn; after the database's own timeout go on without it, and let SQLite say that it is busy."""
        if fcntl is None or self.is_in_memory_db():
            return
        with contextlib.suppress(OSError):
            self._turn = self._open()
            self._wait(lambda: fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB))

    @contextlib.contextmanager
    def in_line(self, number: int) -> Iterator[None]:
        """Let one at a time of those with this number wait for the turn. Who has the turn already stands in no line:
        the one before it there might wait for that."""
        has_lines = hasattr(fcntl, "F_OFD_SETLK") and sys.platform == "linux"
        if not has_lines or self.is_in_memory_db() or self.in_atomic_block:
            yield
            return
        place = -1
        with contextlib.suppress(OSError):
            place = self._open()
            lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 1 + number, 1, 0)
            waited_s = self._wait(lambda: fcntl.fcntl(place, fcntl.F_OFD_SETLK, lock))
            # Others who wait for the turn look before the next of this line does.
            time.sleep(min(waited_s / LINE_LETS_PASS, LOOK_AGAIN_S))
        try:
            yield
        finally:
            if place >= 0:
                os.close(place)

    def _open(self) -> int:
        return os.open(str(self.settings_dict["NAME"]) + SUFFIX, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _wait(self, lock: Callable) -> float:
        """Until nobody else has it, or the database's own timeout is over; returns the seconds that it took.

        Raises OSError where there are no locks.
        """
        began, timeout_s = time.monotonic(), self.settings_dict.get("OPTIONS", {}).get("timeout", 5.0)
        while (waited_s := time.monotonic() - began) < timeout_s:
            try:
                lock()
                break
            except BlockingIOError:
                time.sleep(max(LOOK_AGAIN_S - SHORTER_BY * waited_s, LEAST_S))
        return waited_s

    def _pass_on(self) -> None:
        """Let the next one write; nothing where this connection has no turn."""
        if self._turn >= 0:
            turn, self._turn = self._turn, -1
            os.close(turn)
