"""Generated requests: whatever a client can form, no answer is a 500 and nothing stored breaks a page (PS3).

By default few and always the same; `make fuzz REQUESTS=10000` sends as many as it says, others each time.
"""

import os
import secrets
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

#: In all, half of them to pages and half to the API; 0 is the seeded handful of every test run.
ASKED = int(os.environ.get("REQUESTS", "0"))
#: pytest ends a test after five minutes, so long runs are several tests.
A_TEST = 1000


def parts(usual: int) -> list[int]:
    """How many requests each of the tests of one kind sends."""
    asked = ASKED // 2 or usual
    return [min(A_TEST, asked - first) for first in range(0, asked, A_TEST)]


def each(count: int, strategy: SearchStrategy, act: Callable) -> None:
    """Call `act` with so many generated values; the smallest one that fails is shown."""

    @seed(secrets.randbits(64) if ASKED else 14)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(strategy)
    def tried(value):
        act(value)

    tried()
