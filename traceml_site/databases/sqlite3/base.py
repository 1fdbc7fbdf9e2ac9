"""Django's SQLite backend with fair turns for writers: those who have waited longest check most often.

SQLite's own waiters check every 0.1 s at most, and whoever checks at the right moment goes first: with 16 clients, one
upload in a hundred waited for seconds. The turn is a lock on a file beside the database. SQLite's own lock, taken
afterwards as usual, still protects the data.

Before the turn there is a line: only one upload of a project at a time waits for the turn, so that a project with a
hundred connections delays others no more than a project with one.
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
#: Seconds between two checks of a new waiter, how much each second of waiting shortens them, and their minimum. An
#: upload has the turn for less than a millisecond.
LOOK_AGAIN_S, SHORTER_BY, LEAST_S = 0.003, 0.003, 0.0005
#: The share (1/128) of its waiting time for which the next of a line lets others pass, at most LOOK_AGAIN_S.
LINE_LETS_PASS = 128


class DatabaseCreation(creation.DatabaseCreation):
    def _destroy_test_db(self, test_database_name, verbosity):
        super()._destroy_test_db(test_database_name, verbosity)  # type: ignore[misc]  # the stubs have the public part
        Path(f"{test_database_name}{SUFFIX}").unlink(missing_ok=True)


class DatabaseWrapper(base.DatabaseWrapper):
    creation_class = DatabaseCreation
    is_distributed = False
    _turn = -1

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.execute_wrappers.append(refuse_odd_values)

    def frequent(self):
        """Return a cursor for statements of every upload. SQLite's module keeps the plans of all."""
        return self.cursor()

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
        """Take the turn. After the database's timeout, continue without it and let SQLite report that it is busy."""
        if fcntl is None or self.is_in_memory_db():
            return
        with contextlib.suppress(OSError):
            self._turn = self._open()
            self._wait(lambda: fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB))

    @contextlib.contextmanager
    def in_line(self, number: int) -> Iterator[None]:
        """Let only one holder of this number at a time wait for the turn. A connection that already has the turn does
        not stand in line, because the one in front might be waiting for that turn.
        """
        has_lines = hasattr(fcntl, "F_OFD_SETLK") and sys.platform == "linux"
        if not has_lines or self.is_in_memory_db() or self.in_atomic_block:
            yield
            return
        place = -1
        with contextlib.suppress(OSError):
            place = self._open()
            lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 1 + number, 1, 0)
            waited_s = self._wait(lambda: fcntl.fcntl(place, fcntl.F_OFD_SETLK, lock))
            if waited_s > LOOK_AGAIN_S:  # let others who wait for the turn check before the next of this line does
                time.sleep(min(waited_s / LINE_LETS_PASS, LOOK_AGAIN_S))
        try:
            yield
        finally:
            if place >= 0:
                os.close(place)

    def _open(self) -> int:
        return os.open(str(self.settings_dict["NAME"]) + SUFFIX, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _wait(self, lock: Callable) -> float:
        """Wait until the lock is free or the database's timeout is over; returns the seconds waited.

        Raises OSError if the file system has no locks.
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
        """Release the turn, if this connection has it."""
        if self._turn >= 0:
            turn, self._turn = self._turn, -1
            os.close(turn)
