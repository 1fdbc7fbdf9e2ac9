"""`watch`: a model in use. Counts calls, items and busy time per method; its energy is the share of the run's window.

A call costs half a microsecond: two clock readings, a look whether it comes from outside, and three additions; no lock,
no reading of any sensor. How the model comes to count is told in `patching`, which is loaded by the first `watch`.
"""

from __future__ import annotations

from traceml_agent.messages import guarded, warn

#: Methods of common libraries that use a model; others are left alone.
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
    """Calls, items and busy seconds of one method so far."""

    __slots__ = ("busy_s", "calls", "items", "method")

    def __init__(self, method: str):
        self.method, self.calls, self.items, self.busy_s = method, 0, 0, 0.0

    def add(self, items: int, busy_s: float, calls: int = 1) -> None:
        self.calls += calls
        self.items += items
        self.busy_s += busy_s

    def as_wire(self) -> dict:
        return {"method": self.method, "calls": self.calls, "items": self.items, "busy_s": round(self.busy_s, 6)}


class Watched:
    """What is counted of one watched object."""

    def __init__(self):
        self._counts: dict[str, Counts] = {}

    def counts(self, method: str) -> Counts:
        return self._counts.setdefault(method, Counts(method))

    def calls(self) -> list[dict]:
        """The counts of every method that was called, as the wire wants them."""
        return [counts.as_wire() for counts in list(self._counts.values()) if counts.calls]


def watch(model, name=None, run=None, **settings):
    """`model` itself, whose predict, generate, transform, encode …, and whose own call, are counted from now on.

    Belongs to `run`, else to the run that is under way, else to a run of kind `inference` of its own that lasts until
    the process ends: one for a service, not one per call. Calls that come from outside the model count, not those by
    which one of its methods is made of others. A function, or an object of a C type, gets a stand-in. Watched again, a
    model is counted for the new run, once. Never raises; what can't be watched is returned as it is.
    """
    watched = _watch(model, name, run, settings)
    return model if watched is None else watched


@guarded()
def _watch(model, name, run, settings):
    from traceml_agent import run as runs
    from traceml_agent.track import start

    target = run or runs.current() or start(name or type_name(model), kind="inference", **settings)
    if isinstance(target, runs.InertRun):
        return model
    return _counted(model, target.watched)


def _counted(model, all_watched: list):
    """The model, counted among `all_watched`; at once if it is already."""
    from traceml_agent import patching, stand_ins

    bare = stand_ins.behind(model)
    if isinstance(bare, (type, str, bytes)) or not (callable(bare) or any(hasattr(bare, method) for method in METHODS)):
        warn(f"watch takes an object with predict, generate or the like, not {_described(bare)}: nothing is counted")
        return model
    if any(each is (patching.watched_of(model) or stand_ins.watched_of(model)) for each in all_watched):
        return model
    watched = Watched()
    try:
        patching.patch(bare, watched, METHODS)
    except Exception:  # noqa: BLE001 (its class can't be exchanged: some refuse a subclass, with whatever they like)
        bare = stand_ins.stand_in(bare, watched, METHODS)
    all_watched.append(watched)
    return bare


def _described(model) -> str:
    return f"the class {type_name(model)}" if isinstance(model, type) else f"an object of {type(model).__name__}"


def type_name(model) -> str:
    return getattr(model, "__name__", None) or type(model).__name__
