"""Long work in short transactions: uploads wait for one step at most, a fraction of a second."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: How long a step should take.
STEP_S = 0.15
#: The most by which a step may grow from one to the next.
GROWTH = 2.0
FIRST, MOST = 10, 500
#: Between two steps others get their turn: who waits for SQLite's looks again in less.
PAUSE_S = 0.02


class Pace:
    """How many rows the next step takes, by how long the last ones took."""

    def __init__(self) -> None:
        self.size = FIRST

    @contextmanager
    def step(self) -> Iterator[None]:
        """A step of `size` rows; waits after it, so that others get their turn."""
        began = time.monotonic()
        yield
        took_s = max(time.monotonic() - began, 1e-6)
        self.size = max(1, min(MOST, round(self.size * min(STEP_S / took_s, GROWTH))))
        time.sleep(PAUSE_S)
