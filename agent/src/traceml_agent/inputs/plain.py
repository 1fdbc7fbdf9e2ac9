"""JSON of what people hand over. A value that has none is left out, with the reason.

This module asks objects of the user's classes for their text, items and number. Any of these may raise, never end, or
be huge. Plain types are read by their own methods, even if a subclass overrides those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import isfinite, prod

from traceml_agent import limits
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.messages import let_handlers_through

MAX_DEPTH = 4
HIDDEN = "(hidden)"
#: The value of a key with one of these words is secret.
SECRET_WORDS = ("password", "passwd", "secret", "token", "api_key", "apikey", "credential", "private", "auth", "cookie")
NUMBERS = (bool, int, float, type(None))
#: Most items that are read of an endless or huge mapping, list or set.
MOST_READ = 10_000
#: A value with more parts can't fit: each takes at least two bytes.
MOST_PARTS = limits.MAX_METADATA_BYTES // 2
#: Whole numbers with more bits have more digits than Python converts to text.
MOST_BITS = 1500
#: Where dataclasses, attrs, pydantic (2 and 1) and named tuples keep their field names.
FIELDS = ("__dataclass_fields__", "__attrs_attrs__", "model_fields", "__fields__", "_fields")
#: Classes whose objects consist of their attributes: argparse's and types'.
NAMESPACES = ("Namespace", "SimpleNamespace")

Read = Callable[[], object]
Members = Iterable[tuple[object, Read]]


class NotKept(Exception):
    """A value has no JSON, with the reason."""


def is_secret(name: str, value: object = "") -> bool:
    """Whether a key's name says that its value is secret. A token that is a number is an amount or an id, as in
    `max_new_tokens` and `eos_token_id`."""
    lowered = name.lower().replace("-", "_")
    found = [word for word in SECRET_WORDS if word in lowered]
    return bool(found) and not (found == ["token"] and isinstance(value, NUMBERS))


def shown(name: str, read: Callable[[], Iterable]) -> list:
    """The value that `read` gives, if any, or the word for a secret one, which is not even read if possible."""
    if is_secret(name, None):
        return [HIDDEN]
    return [HIDDEN if is_secret(name, value) else value for value in read()]


def words(value) -> str:
    """The text of any object; raises whatever its `__str__` raises."""
    if isinstance(value, (bytes, bytearray)):
        return repr(bytes(value[: limits.MAX_VALUE + 1]))  # `str` of it would fail under `python -bb`
    return str.__str__(value if isinstance(value, str) else str(value))


def reason_of(error: Exception) -> str:
    """Why something is left out, from the error raised while it was read. The error's own text may raise too."""
    let_handlers_through(error)
    return str(error) if isinstance(error, NotKept) else f"reading it raised {type(error).__name__}"


def members(value, any_object: bool = False) -> Members | None:
    """The keys of a mapping, a dataclass or the like, each with a function that reads its value; else None.

    With `any_object`, also the attributes of any object, except those that Python adds.
    """
    kind = type(value)
    if issubclass(kind, dict):
        return [(key, _held(item)) for key, item in islice(dict.items(value), MOST_READ)]
    if hasattr(kind, "keys") and hasattr(kind, "__getitem__") and not hasattr(kind, "shape"):  # no table
        return ((key, _item(value, key)) for key in islice(value.keys(), MOST_READ))
    names: Iterable = next(filter(None, (getattr(kind, name, None) for name in FIELDS)), ())
    if not names and (any_object or kind.__name__ in NAMESPACES) and hasattr(value, "__dict__"):
        names = [name for name in vars(value) if not name.startswith("__")]
    if not names and kind.__name__ not in NAMESPACES:
        return None
    names = [getattr(name, "name", name) for name in names]
    return [(name, _attribute(value, name)) for name in names]


def _held(value) -> Read:
    return lambda: value


def _item(owner, key) -> Read:
    return lambda: owner[key]


def _attribute(owner, name: str) -> Read:
    return lambda: getattr(owner, name)


def named(given: Members, what: str, below: str, left_out: LeftOut) -> Iterator[tuple[str, Read]]:
    """At most MAX_KEYS members, each with a clean and distinct name. `below` is the path of their owner."""
    seen: set[str] = set()
    try:
        for index, (key, read) in enumerate(given):
            if len(seen) == limits.MAX_KEYS:
                beyond = len(given) - index if isinstance(given, list) else 1  # else unknown, or endless
                left_out.note(f"the rest of {what}", f"more than {limits.MAX_KEYS} keys", beyond)
                break
            if name := _key(key, what, below, seen, left_out):
                seen.add(name)
                yield name, read
    except Exception as error:  # noqa: BLE001 (a mapping of the user's: its items so far are kept)
        left_out.note(f"the rest of {what}", reason_of(error))


def _key(key, what: str, below: str, seen: set[str], left_out: LeftOut) -> str:
    try:
        text = limits.clean(words(key), limits.MAX_KEY + 1)
    except Exception as error:  # noqa: BLE001 (the text of a key of the user's)
        left_out.note(f"a key of {what}", reason_of(error))
        return ""
    name = text[: limits.MAX_KEY].strip()
    if not name or name in seen:
        left_out.note(f"parameter {below + name!r}", "another one has the same name" if name else "its name is empty")
        return ""
    if len(text) > limits.MAX_KEY:
        left_out.note(f"the end of the name {name!r}", f"longer than {limits.MAX_KEY} characters")
    return name


class JsonCopy:
    """Copies parameters as JSON.

    It counts their parts, since a structure may contain itself. Each value may use half of the parts that are left, so
    a huge one does not push out the others.
    """

    def __init__(self, left_out: LeftOut):
        self._left_out = left_out
        self._parts, self._most = 0, 2 * MOST_PARTS

    def of(self, read: Read, path: str, depth: int = MAX_DEPTH) -> tuple:
        """The JSON of what `read` returns, in a tuple of one; an empty tuple if it has none, which is noted."""
        outer_most = self._most
        self._most = (self._parts + self._most) // 2
        try:
            return (self._json(read(), path, depth),)
        except Exception as error:  # noqa: BLE001 (an object of the user's: any of its methods may raise anything)
            self._left_out.note(f"parameter {path!r}", reason_of(error))
        finally:
            self._most = outer_most
        return ()

    def _json(self, value, path: str, depth: int):
        self._parts += 1
        kind = type(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, int):
            return _whole(int.__int__(value))
        if issubclass(kind, float):
            return _real(float.__float__(value))
        if issubclass(kind, (str, bytes, bytearray)):
            return self._text(value, path)
        if hasattr(kind, "shape"):
            return self._array(value, path, depth)
        if hasattr(kind, "__float__"):  # decimals, fractions
            found = number(value)
            return self._text(value, path) if found is None else found
        return self._structure(value, path, depth)

    def _structure(self, value, path: str, depth: int):
        given = members(value)
        if given is None and not isinstance(value, (list, tuple, set, frozenset, deque)):
            return self._text(value, path)
        if self._parts > self._most:
            raise NotKept(f"larger than {limits.MAX_METADATA_BYTES // 1024} KiB")
        if not depth:
            raise NotKept(f"nested deeper than {MAX_DEPTH} levels")
        if given is None:
            items = self._items(value, path, depth)
            # The order of a set differs between processes, so equal parameters would look different.
            return sorted(items, key=repr) if isinstance(value, (set, frozenset)) else items
        found = {}
        for name, read in named(given, f"parameter {path!r}", f"{path}.", self._left_out):
            for plain in shown(name, lambda: self.of(read, f"{path}.{name}", depth - 1)):  # noqa: B023
                found[name] = plain
        return found

    def _items(self, value, path: str, depth: int) -> list:
        given = list(islice(value, MOST_READ))
        kept = given[: limits.MAX_KEYS]
        if len(given) > len(kept):
            beyond = len(given) - len(kept)
            self._left_out.note(f"the rest of parameter {path!r}", f"more than {limits.MAX_KEYS} items", beyond)
        plain = (self.of(_held(item), path, depth - 1) for item in kept)
        return [one[0] if one else None for one in plain]

    def _array(self, value, path: str, depth: int):
        """The number of a scalar array or tensor, a list for a small one, the text of a larger one or a table."""
        if hasattr(type(value), "detach"):
            value = value.detach()  # a tensor with a gradient warns
        elif hasattr(type(value), "numpy") and not hasattr(type(value), "tolist"):
            value = value.numpy()  # TensorFlow's
        is_time = getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M")
        if is_time or not hasattr(type(value), "tolist") or prod(value.shape) > limits.MAX_KEYS:
            return self._text(value, path)
        plain = value.tolist()
        if type(plain) is type(value):  # a number that Python has no type for, such as bfloat16
            plain = number(value)
        return self._json(_shortest(plain, value) if isinstance(plain, float) else plain, path, depth)

    def _text(self, value, path: str) -> str:
        text = limits.clean(words(value), limits.MAX_VALUE + 1)
        if len(text) > limits.MAX_VALUE:
            self._left_out.note(f"the end of parameter {path!r}", f"longer than {limits.MAX_VALUE} characters")
        return text[: limits.MAX_VALUE].strip()


def _whole(value: int):
    """A whole number, or its text if it has more than 64 bits."""
    if abs(value) <= limits.MAX_INTEGER:
        return value
    if value.bit_length() > MOST_BITS:
        raise NotKept("the number is too large")
    return str(value)


def _real(value: float):
    return value if isfinite(value) else str(value)


def _shortest(exact: float, scalar) -> float:
    """The number that a scalar of few bits shows: 0.1 for a 32-bit 0.1, which is 0.10000000149 as a float."""
    try:
        shown = float(str(scalar.cpu().numpy() if hasattr(type(scalar), "cpu") else scalar))
    except Exception as error:  # noqa: BLE001 (a tensor of a kind that NumPy lacks; a subclass's own text)
        let_handlers_through(error)
        return exact
    return shown if abs(shown - exact) <= 1e-3 * abs(exact) else exact


def number(value) -> float | None:
    """The finite float of anything that has one (NumPy scalars, one-element tensors, text), or None. Never warns."""
    if type(value) is float:
        return value if isfinite(value) else None
    try:
        kind = type(value)
        if hasattr(kind, "detach"):  # a tensor with a gradient warns when it becomes a number
            value = value.detach()
        if getattr(value, "mask", False):  # NumPy's masked value, whose item is 0
            return None
        if hasattr(kind, "item") and not issubclass(kind, (int, float)):  # an array of one element warns too
            value = value.item()
        result = float.__float__(float(value))
    except Exception as error:  # noqa: BLE001 (a number of the user's: if it raises, it is none)
        let_handlers_through(error)
        return None
    return result if isfinite(result) else None
