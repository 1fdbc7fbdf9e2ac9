"""What people hand over, made fit to travel: clean text, capped metadata, numbers, and no secrets.

Whatever it is, one odd value costs itself alone: it is left out, cut or replaced, and noted in a `LeftOut`. Nothing
here raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from traceml_agent import limits
from traceml_agent.inputs import plain
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.inputs.plain import HIDDEN, is_secret, members, number, reason_of, words
from traceml_agent.messages import let_handlers_through

__all__ = ["HIDDEN", "KINDS", "facts", "is_secret", "kind", "metrics", "number", "params", "tags", "text"]

#: Of more than these tags not even the text is asked for, which may take long.
MOST_TAGS_READ = 4 * limits.MAX_TAGS
KINDS = ("training", "finetuning", "evaluation", "inference", "other")


def text(value, left_out: LeftOut | None = None, what: str = "a text", limit: int = limits.MAX_TEXT) -> str:
    """`value` as one line of text that any database can hold, at most `limit` characters.

    Empty for None and for what can't be told; `what` says in words what it is the text of.
    """
    if value is None:
        return ""
    left_out = left_out or LeftOut()
    try:
        given = words(value)
    except Exception as error:  # noqa: BLE001 (the `__str__` of somebody's own class)
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
    except Exception as error:  # noqa: BLE001 (the `__str__` of somebody's own class)
        let_handlers_through(error)
        return None
    return word if word in KINDS else None


def facts(given: dict, left_out: LeftOut | None = None) -> dict:
    """What a sensor tells of a device, as the portal takes it: drivers hand out odd names and numbers as well."""
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
    """At most 50 clean, different tags of one text, or of anything that can be iterated; of a mapping `key=value`."""
    left_out = left_out or LeftOut()
    kept: dict[str, None] = {}
    try:
        for number_of, value in enumerate(islice(_given_tags(values), plain.MOST_READ)):
            if len(kept) == limits.MAX_TAGS or number_of >= MOST_TAGS_READ:
                left_out.note("further tags", f"a run has at most {limits.MAX_TAGS}")
            elif tag := text(value, left_out, "a tag"):
                kept[tag] = None
    except Exception as error:  # noqa: BLE001 (a generator that raises: what it gave so far is kept)
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
    """A key and its value as one tag, told only when asked for: either may raise."""

    def __init__(self, key, read):
        self._key, self._read = key, read

    def __str__(self) -> str:
        key = words(self._key)
        return f"{key}={HIDDEN if is_secret(key) else words(self._read())}"


def params(values, left_out: LeftOut | None = None) -> dict:
    """At most 50 keys and 16 KiB of JSON from a mapping, a dataclass or an object's attributes, secrets hidden.

    Numbers stay numbers, NumPy's and tensors' of one element included; lists and mappings up to four levels deep; what
    JSON does not know becomes text. Where it is too much, the largest values are left out until the rest fits.
    """
    left_out = left_out or LeftOut()
    if values is None:
        return {}
    try:
        given = members(values, any_object=True)
    except Exception as error:  # noqa: BLE001 (somebody's own object)
        left_out.note("params", reason_of(error))
        return {}
    if given is None:
        left_out.note("params", "neither a mapping nor an object with attributes")
        return {}
    kept: dict = {}
    copy = plain.JsonCopy(left_out)
    for name, read in plain.named(given, "params", "", left_out):
        for value in (HIDDEN,) if is_secret(name) else copy.of(read, name):
            kept[name] = value
    for name in limits.excess_keys(kept):
        del kept[name]
        left_out.note(f"parameter {name!r}", f"all together are larger than {limits.MAX_METADATA_BYTES // 1024} KiB")
    return kept


def metrics(args, kwargs, left_out: LeftOut | None = None, names: set[str] | None = None) -> list[tuple[str, float]]:
    """Names and numbers of what `run.log(*args, **kwargs)` was given: mappings, keywords, or both.

    A mapping inside a mapping is flattened: `{"val": {"loss": 1}}` is `val.loss`. With `names`, those that a run has
    logged so far, a run keeps no more than the portal does; new names are added to it.
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
        """All metrics of a mapping or the like that was given without a name."""
        pairs = _mapping(given)
        if pairs is None:
            self._left_out.note("what log was given", 'no names: write log(loss=0.3) or log({"loss": 0.3})')
        else:
            self._all(pairs, "", plain.MAX_DEPTH, [limits.MAX_ROWS])

    def _all(self, pairs: plain.Members, path: str, depth: int, room: list[int]) -> None:
        """Metrics of a mapping; `room` is how many more it and those within may have, for one may hold itself."""
        what = f"the rest of metrics {path}…" if path else "the rest of the metrics"
        try:
            for key, read in pairs:
                if not room[0]:
                    self._left_out.note(what, "more than one call of log takes")
                    break
                room[0] -= 1
                self._one(key, read, path, depth, room)
        except Exception as error:  # noqa: BLE001 (somebody's own mapping: what it gave so far is kept)
            self._left_out.note(what, reason_of(error))

    def _one(self, key, read: plain.Read, path: str, depth: int, room: list[int]) -> None:
        try:
            value = read()
        except Exception as error:  # noqa: BLE001 (somebody's own value)
            self._left_out.note(f"metric {path + text(key)!r}", reason_of(error))
        else:
            self.add(key, value, path, depth, room)

    def add(self, key, value, path: str = "", depth: int = plain.MAX_DEPTH, room: list[int] | None = None) -> None:
        """One metric, or the mapping of them that it is; in it a run's most names at most."""
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
            self._left_out.note(f"metric {path!r}", "an empty name")
        elif self._names is not None and not _is_kept(path + name, self._names):
            self._left_out.note(f"metric {path + name!r}", f"a run keeps {limits.MAX_METRIC_NAMES} names")
        else:
            self.rows.append((path + name, found))


def _is_kept(name: str, names: set[str]) -> bool:
    if name not in names and len(names) < limits.MAX_METRIC_NAMES:
        names.add(name)
    return name in names


def _mapping(value) -> plain.Members | None:
    try:
        return members(value)
    except Exception as error:  # noqa: BLE001 (somebody's own object)
        let_handlers_through(error)
        return None
