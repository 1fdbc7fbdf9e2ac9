"""The thread of a web process that folds what arrived: totals follow an upload within a second, without a worker."""

import logging
import threading
import time

from django.db import DatabaseError, close_old_connections, connection

from runs.ingest.folding.fold import fold_waiting
from runs.sql import run_sums

logger = logging.getLogger("traceml.totals")

NAME = "traceml-folder"
#: Uploads of one run in this time are folded together, which costs little more than one.
GATHER_S = 0.4
#: Between two folds, others have the processor and the database; or somebody else is folding.
PAUSE_S = 0.02
#: Seconds until the next try when the database is busy or gone, and until an idle thread ends.
AGAIN_S, IDLE_S = 2.0, 30.0


class Folder:
    """Folds on a thread that starts with the first upload of a process, also after a fork, and ends when idle."""

    def __init__(self):
        self._changing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Have what arrived folded within a second. Returns at once."""
        self._wake.set()
        if not self._is_working():
            with self._changing:
                if not self._is_working():
                    self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
                    self._thread.start()

    def _is_working(self) -> bool:
        """After a fork, there is a thread that is not alive."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while not self._is_idle():
            time.sleep(GATHER_S)
            self._wake.clear()
            self._fold()

    def _is_idle(self) -> bool:
        """Wait to be woken; after a while without, the thread gives up its connection and ends."""
        if self._wake.wait(IDLE_S):
            return False
        connection.close()
        with self._changing:
            if not self._wake.is_set():  # else somebody saw a thread just now
                self._thread = None
            return self._thread is None

    def _fold(self) -> None:
        close_old_connections()
        try:
            while fold_waiting():
                time.sleep(PAUSE_S)
            run_sums.compact()
            close_old_connections()
        except DatabaseError as error:
            logger.warning("The totals can't be updated now: %s", error)
            connection.close()
            time.sleep(AGAIN_S)
            self._wake.set()


_folder = Folder()


def wake() -> None:
    """Have what arrived folded by this process, within a second."""
    _folder.wake()
