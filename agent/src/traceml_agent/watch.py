"""`watch`: a model in use. Counts calls, items and busy time per method; its energy is a share of its run's.

A call costs half a microsecond: two clock readings, a check whether it comes from outside, and three additions; no lock
and no sensor reading. `watching.patching` describes how a model comes to count; the first `watch` loads it.
"""

from __future__ import annotations

from traceml_agent.host import forks
from traceml_agent.messages import guarded, let_handlers_through, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceml_agent.spool.board import Board

CALL = "call"  # as on a board
#: The method under which requests count whose endpoints are not known.
REQUESTS = "requests"

#: Methods by which common libraries use a model. Other methods are left alone.
METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "score",
    "transform",
    "inverse_transform",
    "generate",
    "encode",
    "decode",
    "embed",
    "forward",
    "infer",
    "invoke",
    "ainvoke",
    "stream",
    "astream",
    "complete",
    "chat",
    "classify",
    "translate",
    "run",
)


class Counts:
    """Calls, items and busy seconds of one method so far, on a board that outlives the process."""

    __slots__ = ("_board", "_label", "_places", "_values", "method")

    def __init__(self, method: str, board: Board):
        self.method, self._label = method, f"{CALL}:{method}"
        self._board, self._places, self._values = board, board.places, board.values

    def add(self, items: int, busy_s: float, calls: int = 1) -> None:
        at = self._places.get(self._label)
        if at is None:  # the first call, in this process
            at = self._board.place_of_calls(self._label)
        values = self._values
        values[at] += calls
        values[at + 1] += items
        values[at + 2] += busy_s


class Watched:
    """The counts of one watched object, on the board of its run if it has one."""

    def __init__(self, board: Board | None = None):
        from traceml_agent.spool.board import Board

        board = board or Board()
        board.is_counted_on = True  # from now on it stays open
        self._board = Board() if board.is_closed else board
        self._counts: dict[str, Counts] = {}

    def counts(self, method: str) -> Counts:
        return self._counts.setdefault(method, Counts(method, self._board))

    def calls(self) -> list[dict]:
        """The counts of every method that was called, in the format of docs/wire.md."""
        return self._board.calls()


def watch(model, name=None, run=None, **settings):
    """Count the calls of `model` from now on: predict, generate, transform, encode … and its own call. Returns `model`.

    They count for `run`, else for the run in progress, else for a run of kind `inference` of their own that lasts until
    the process ends: one run per service, not one per call. Only calls from outside the model count, not those that its
    methods make of each other. A function or an object of a C type is returned as a stand-in. A model that is watched
    again counts for the new run only. Never raises; what can't be watched is returned unchanged.
    """
    watched = _watch(model, name, run, settings)
    return model if watched is None else watched


@guarded()
def _watch(model, name, run, settings):
    from traceml_agent.track import start

    with forks.loading():
        from traceml_agent.tracking import current
    target = run or current.last() or start(name or type_name(model), kind="inference", **settings)
    if not target:
        return model
    if not target.is_open:
        warn("watch: the run has ended, so no calls are counted. Start another one, or let watch start it.")
        return model
    return _counted(model, target.watched, target.board)


def _counted(model, all_watched: list, board: Board | None = None):
    """The model, whose counts are added to `all_watched`; unchanged if they are there already."""
    with forks.loading():
        from traceml_agent.watching import patching, stand_ins
    bare = stand_ins.behind(model)
    if isinstance(bare, (type, str, bytes)) or not (callable(bare) or any(hasattr(bare, method) for method in METHODS)):
        warn(f"watch needs an object with a method like predict, not {_described(bare)}. Nothing is counted.")
        return model
    if any(each is (patching.watched_of(model) or stand_ins.watched_of(model)) for each in all_watched):
        return model
    watched = Watched(board)
    try:
        patching.patch(bare, watched, METHODS)
    except Exception as error:  # noqa: BLE001 (its class can't be exchanged: some refuse a subclass, with whatever they like)
        let_handlers_through(error)
        bare = stand_ins.stand_in(bare, watched, METHODS)
    all_watched.append(watched)
    return bare


def _described(model) -> str:
    return f"the class {type_name(model)}" if isinstance(model, type) else f"an object of {type(model).__name__}"


def type_name(model) -> str:
    return getattr(model, "__name__", None) or type(model).__name__
