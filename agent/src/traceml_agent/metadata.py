"""What people hand over, made fit to travel: clean text, capped metadata, and no secrets.

The portal refuses text that not every database can hold; a whole run must not go to quarantine for a stray character.
"""

from __future__ import annotations

import unicodedata
from math import isfinite

KINDS = ("training", "finetuning", "evaluation", "inference", "other")
MAX_TEXT = 200
MAX_VALUE = 500
MAX_KEYS = 50
MAX_TAGS = 50
MAX_BYTES = 15 * 1024
MAX_DEPTH = 4
HIDDEN = "(hidden)"
#: A key with one of these words holds something that nobody means to publish.
SECRET_WORDS = ("password", "passwd", "secret", "token", "api_key", "apikey", "credential", "private", "auth", "cookie")
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def text(value, limit: int = MAX_TEXT) -> str:
    """`value` as one line of NFC text that any database can hold, at most `limit` characters."""
    kept = "".join(" " if c in "\r\n\t" else c for c in str(value)[: 4 * limit] if c in "\r\n\t" or not _refused(c))
    return unicodedata.normalize("NFC", kept).strip()[:limit].strip()


def _refused(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or character in _DIRECTION_MARKS


def kind(value) -> str | None:
    """The kind of run that `value` names, or None."""
    word = str(value).strip().lower()
    return word if word in KINDS else None


def tags(values) -> list[str]:
    """A list of at most 50 clean, different tags from a list, a set or one text."""
    if values is None:
        return []
    given = [values] if isinstance(values, str) else list(values)
    return list(dict.fromkeys(filter(None, map(text, given[: 4 * MAX_TAGS]))))[:MAX_TAGS]


def params(values) -> dict:
    """At most 50 keys and 16 KiB of JSON from a mapping (or what has one in `__dict__`), secrets hidden."""
    if values is None:
        return {}
    given = values if hasattr(values, "items") else vars(values)
    kept: dict = {}
    size = 0
    for key, value in given.items():
        name, plain = text(key, 100), _plain(value, MAX_DEPTH)
        if not name or len(kept) == MAX_KEYS:
            continue
        plain = HIDDEN if is_secret(name) else plain
        size += len(name.encode()) + len(repr(plain).encode()) + 8
        if size > MAX_BYTES:
            break
        kept[name] = plain
    return kept


def is_secret(name: str) -> bool:
    """Whether a key's name says that its value is nobody's business."""
    lowered = name.lower().replace("-", "_")
    return any(word in lowered for word in SECRET_WORDS)


def _plain(value, depth: int):
    """JSON of a value: numbers stay numbers, what JSON does not know becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)[:MAX_VALUE]
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if depth and hasattr(value, "items"):
        return {
            text(key, 100): HIDDEN if is_secret(str(key)) else _plain(item, depth - 1)
            for key, item in list(value.items())[:MAX_KEYS]
        }
    if depth and isinstance(value, (list, tuple, set)):
        return [_plain(item, depth - 1) for item in list(value)[:MAX_KEYS]]
    return text(value, MAX_VALUE)


def number(value) -> float | None:
    """A finite float of anything that has one (NumPy scalars, one-element tensors), or None."""
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if isfinite(result) else None
