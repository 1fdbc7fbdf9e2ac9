"""Cleans what people hand over: text, metadata within its limits, numbers, and no secrets.

An odd value affects only itself: it is left out, cut or replaced, and noted in a `LeftOut`. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from operator import index

from traceml_agent import limits
from traceml_agent.inputs import plain
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.inputs.plain import HIDDEN, is_secret, members, number, reason_of, words
from traceml_agent.messages import let_handlers_through

__all__ = ["HIDDEN", "KINDS", "facts", "is_secret", "kind", "metrics", "number", "params", "tags", "text"]

#: Further tags are not even converted to text, which may take long.
MOST_TAGS_READ = 4 * limits.MAX_TAGS
KINDS = ("training", "finetuning", "evaluation", "inference", "other")


def text(value, left_out: LeftOut | None = None, what: str = "a text", limit: int = limits.MAX_TEXT) -> str:
    """`value` as one line of text that any database can store, at most `limit` characters.

    Empty for None and for what has no text; `what` says in words what the text is.
    """
    if value is None:
        return ""
    left_out = left_out or LeftOut()
    try:
        given = words(value)
    except Exception as error:  # noqa: BLE001 (the `__str__` of a class of the user's)
        left_out.note(what, reason_of(error))
        return ""
    kept = limits.clean(given, limit + 1)
    if len(kept) > limit:
        left_out.note(f"the end of {what}", f"longer than {limit} characters")
    if given and not kept and not given[: 4 * limit].isspace():
        left_out.note(what, "none of its characters can be stored")
    return kept[:limit].strip()


def kind(value) -> str | None:
    """The kind of run that `value` names, or None."""
    try:
        word = words(value).strip().lower()
    except Exception as error:  # noqa: BLE001 (the `__str__` of a class of the user's)
        let_handlers_through(error)
        return None
    return word if word in KINDS else None


def facts(given: dict, left_out: LeftOut | None = None) -> dict:
    """The facts of a device as the portal accepts them: drivers return odd names and numbers too."""
    left_out = left_out or LeftOut()
    kept: dict = {}
    for name, value in given.items():
        what = f"{name} of {given.get('key')}"
        if name in limits.DEVICE_RANGES:
            low, high = limits.DEVICE_RANGES[name]
            found = None if value is None else number(value)
            if found is not None and low <= found <= high:
                kept[name] = value if type(value) in (int, float) else found
            elif value is not None:
                left_out.note(what, f"not a number from {low:g} to {high:g}")
        else:
            limit = {"note": limits.MAX_NOTE, "uuid": limits.MAX_UUID}.get(name, limits.MAX_TEXT)
            kept[name] = text(value, left_out, what, limit)
    return kept | {"name": kept.get("name") or "unknown"}


def tags(values, left_out: LeftOut | None = None) -> list[str]:
    """At most 50 clean, distinct tags from one text or any iterable; a mapping gives `key=value`."""
    left_out = left_out or LeftOut()
    kept: dict[str, None] = {}
    try:
        for number_of, value in enumerate(islice(_given_tags(values), plain.MOST_READ)):
            if len(kept) == limits.MAX_TAGS or number_of >= MOST_TAGS_READ:
                left_out.note("the other tags", f"a run has at most {limits.MAX_TAGS}")
            elif tag := text(value, left_out, "a tag"):
                kept[tag] = None
    except Exception as error:  # noqa: BLE001 (a generator that raises: its items so far are kept)
        left_out.note("the rest of the tags", reason_of(error))
    return list(kept)


def _given_tags(values) -> Iterable:
    if values is None:
        return ()
    if isinstance(values, (str, bytes, bytearray)) or not hasattr(type(values), "__iter__"):
        return (values,)
    pairs = members(values)
    if pairs is None:
        return values
    return (_Pair(key, read) for key, read in pairs)


class _Pair:
    """A key and its value as one tag. They become text only when needed, since either may raise."""

    def __init__(self, key, read):
        self._key, self._read = key, read

    def __str__(self) -> str:
        key = words(self._key)
        return f"{key}={HIDDEN if is_secret(key) else words(self._read())}"


def params(values, left_out: LeftOut | None = None) -> dict:
    """At most 200 keys and 16 KiB of JSON from a mapping, a dataclass or an object's attributes, with secrets hidden.

    Numbers stay numbers, including NumPy's and one-element tensors; lists and mappings may be four levels deep; all
    else becomes text. If it is too much, the largest values are left out until the rest fits.
    """
    left_out = left_out or LeftOut()
    if values is None:
        return {}
    try:
        given = members(values, any_object=True)
    except Exception as error:  # noqa: BLE001 (an object of the user's)
        left_out.note("params", reason_of(error))
        return {}
    if given is None:
        left_out.note("params", "neither a mapping nor an object with attributes")
        return {}
    kept: dict = {}
    copy = plain.JsonCopy(left_out)
    for name, read in plain.named(given, "params", "", left_out):
        for value in plain.shown(name, lambda: copy.of(read, name)):  # noqa: B023
            kept[name] = value
    for name in limits.excess_keys(kept):
        del kept[name]
        left_out.note(f"parameter {name!r}", f"all parameters together exceed {limits.MAX_METADATA_BYTES // 1024} KiB")
    return kept


def metrics(args, kwargs, left_out: LeftOut | None = None, names: set[str] | None = None) -> list[tuple[str, float]]:
    """Names and numbers from the arguments of `run.log(*args, **kwargs)`: mappings, keywords, or both.

    A nested mapping is flattened: `{"val": {"loss": 1}}` is `val.loss`. `names` are those that the run has logged so
    far; new ones are added to it, up to as many as the portal keeps.
    """
    logged = _Logged(left_out or LeftOut(), names)
    for given in args:
        logged.take(given)
    for name, value in kwargs.items():
        logged.add(name, value)
    return logged.rows


class _Logged:
    """The metrics of one call of `log`."""

    def __init__(self, left_out: LeftOut, names: set[str] | None):
        self.rows: list[tuple[str, float]] = []
        self._left_out, self._names = left_out, names

    def take(self, given) -> None:
        """All metrics of a mapping that was given without a name."""
        pairs = _mapping(given)
        if pairs is None:
            self._left_out.note("what log was given", 'no names given: use log(loss=0.3) or log({"loss": 0.3})')
        else:
            self._all(pairs, "", plain.MAX_DEPTH, [limits.MAX_ROWS])

    def _all(self, pairs: plain.Members, path: str, depth: int, room: list[int]) -> None:
        """Metrics of a mapping. `room` is how many more it and nested ones may have, since one may contain itself."""
        what = f"the rest of metrics {path}…" if path else "the rest of the metrics"
        try:
            for key, read in pairs:
                if not room[0]:
                    self._left_out.note(what, "too many for one call of log")
                    break
                room[0] -= 1
                self._one(key, read, path, depth, room)
        except Exception as error:  # noqa: BLE001 (a mapping of the user's: its items so far are kept)
            self._left_out.note(what, reason_of(error))

    def _one(self, key, read: plain.Read, path: str, depth: int, room: list[int]) -> None:
        try:
            value = read()
        except Exception as error:  # noqa: BLE001 (a value of the user's)
            self._left_out.note(f"metric {path + text(key)!r}", reason_of(error))
        else:
            self.add(key, value, path, depth, room)

    def add(self, key, value, path: str = "", depth: int = plain.MAX_DEPTH, room: list[int] | None = None) -> None:
        """One metric, or a mapping of metrics: at most as many as a run has names."""
        name = text(key, self._left_out, "a metric's name", limits.MAX_TEXT - len(path))
        found = number(value)
        if found is None and depth and (pairs := _mapping(value)) is not None:
            below = f"{path}{name}."[: limits.MAX_TEXT - 50] if name else path
            most = min(limits.MAX_METRIC_NAMES, room[0]) if room else limits.MAX_METRIC_NAMES
            within = [most]
            self._all(pairs, below, depth - 1, within)
            if room:
                room[0] -= most - within[0]
        elif found is None:
            self._left_out.note(f"metric {path + name!r}", "not a finite number")
        elif not name:
            self._left_out.note(f"metric {path!r}", "its name is empty")
        elif self._names is not None and not _is_kept(path + name, self._names):
            self._left_out.note(f"metric {path + name!r}", f"a run keeps at most {limits.MAX_METRIC_NAMES} names")
        else:
            self.rows.append((path + name, found))


def _is_kept(name: str, names: set[str]) -> bool:
    if name not in names and len(names) < limits.MAX_METRIC_NAMES:
        names.add(name)
    return name in names


def total(value) -> int | None:
    """How many stages a series has; None for what says no such number, as `sys.maxsize` does where there is no end."""
    try:
        number_of_stages = index(value)
    except Exception as error:  # noqa: BLE001 (an object of the user's)
        let_handlers_through(error)
        return None
    return number_of_stages if 0 <= number_of_stages <= limits.MAX_TOTAL else None


def _mapping(value) -> plain.Members | None:
    try:
        return members(value)
    except Exception as error:  # noqa: BLE001 (an object of the user's)
        let_handlers_through(error)
        return None
