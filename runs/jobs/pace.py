"""Long work in short transactions: uploads wait for one step at most, a fraction of a second."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: How long a step should take.
STEP_S = 0.15
#: The most by which a step may grow over the previous one.
GROWTH = 2.0
FIRST, MOST = 10, 500
#: Between two steps others get their turn: a process that waits for SQLite's lock tries again sooner than this.
PAUSE_S = 0.02


class Pace:
    """How many rows the next step processes, based on the duration of the last ones."""

    def __init__(self) -> None:
        self.size = FIRST

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run a step of `size` rows, then wait so that others get their turn."""
        began = time.monotonic()
        yield
        took_s = max(time.monotonic() - began, 1e-6)
        self.size = max(1, min(MOST, round(self.size * min(STEP_S / took_s, GROWTH))))
        time.sleep(PAUSE_S)
