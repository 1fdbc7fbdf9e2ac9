"""`watch` and `stage`: what one call costs."""

from tests.benchmarks import peers
from tests.benchmarks.timing import Row, figures

WATCH = """
import timeit
from traceml_agent import track, watch
class Model:
    def predict(self, batch): return batch
model = Model()
with track("x"):
    watched, batch = watch(Model()), [1, 2, 3]
    n = 300_000
    bare = min(timeit.repeat(lambda: model.predict(batch), number=n, repeat=5))
    ours = min(timeit.repeat(lambda: watched.predict(batch), number=n, repeat=5))
print((ours - bare) / n)
"""
STAGE = """
import timeit
from traceml_agent import track
with track("x") as run:
    def once():
        with run.stage("step"): pass
    n = 3000
    print(min(timeit.repeat(once, number=n, repeat=5)) / n)
"""
PEER = """
import timeit
{start}
def once():
    {once}
print(min(timeit.repeat(once, number={calls}, repeat=3)) / {calls})
"""


def rows() -> list[Row]:
    (watch_s,), (stage_s,) = figures(WATCH), figures(STAGE)
    others = peers.told(peers.compared(_peer_us), "{:,.1f} µs")
    return [
        Row("a watched call", f"{1e6 * watch_s:.2f} µs", others, "≤ 2 µs", watch_s <= 2e-6),
        Row("a stage", f"{1e6 * stage_s:.1f} µs", "", "≤ 20 µs", stage_s <= 20e-6),
    ]


def _peer_us(peer: peers.Peer, python: str) -> float:
    """A part measured by the peer's cheapest documented way."""
    return 1e6 * figures(PEER.format(start=peer.start, once=peer.once, calls=peer.calls), python)[0]
