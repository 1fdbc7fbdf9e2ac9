"""The thread of a web process that folds what arrived: totals follow an upload within a second, without a worker."""

import logging
import threading
import time

from django.db import DatabaseError, close_old_connections, connection

from runs.ingest.folding.fold import AT_ONCE, fold_free, fold_waiting
from runs.models import Arrival
from runs.sql import run_sums

logger = logging.getLogger("traceml.totals")

NAME = "traceml-folder"
#: Uploads of one run in this time are folded together, which costs little more than one.
GATHER_S = 0.4
#: Between two folds, others have the processor and the database; or somebody else is folding.
PAUSE_S = 0.02
#: What another process took, it has folded by then, or it is gone.
LEFT_S = 0.6
#: Seconds until the next try when the database is busy or gone, and until an idle thread ends.
AGAIN_S, IDLE_S = 2.0, 30.0


class Folder:
    """Folds on a thread that starts with the first upload of a process, also after a fork, and ends when idle."""

    def __init__(self):
        self._changing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._taken: set[int] = set()

    def wake(self, run: int | None) -> None:
        """Have what arrived folded within a second, first of all for this run. Returns at once."""
        if run is not None:
            self._taken.add(run)
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
        taken, self._taken = self._taken, set()
        try:
            if connection.features.has_select_for_update_skip_locked:
                self._fold_beside_others(taken)
            else:
                _fold_whatever_waits()
            run_sums.compact()
            close_old_connections()
        except DatabaseError as error:
            logger.warning("The totals can't be updated now: %s", error)
            connection.close()
            time.sleep(AGAIN_S)
            self._wake.set()

    def _fold_beside_others(self, taken: set[int]) -> None:
        """Fold what this process took, then what others left: two that fold the same runs wait for each other, and what
        one client sends, one process takes."""
        locked: set[int] = set()
        while taken:
            locked |= fold_free([taken.pop() for _ in range(min(AT_ONCE, len(taken)))])
            time.sleep(PAUSE_S)
        _fold_whatever_waits(LEFT_S)
        if Arrival.objects.exists():
            self._taken |= locked
            self._wake.set()


def _fold_whatever_waits(left_s: float = 0.0) -> None:
    while fold_waiting(left_s):
        time.sleep(PAUSE_S)


_folder = Folder()


def wake(run: int | None = None) -> None:
    """Have what arrived folded by this process, within a second, first of all for this run."""
    _folder.wake(run)
