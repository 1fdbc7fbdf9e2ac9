"""The limits of a run that agent and portal share, and how each is counted.

Pure: standard library only. The agent cuts to these limits before it sends anything; the portal refuses what exceeds
them. When a limit was defined twice, it was counted in two ways, and whole runs were refused.
"""

from __future__ import annotations

import json
import unicodedata

#: Characters (code points, in NFC) of a name, a tag, a metric's or a method's name.
MAX_TEXT = 200
#: Characters of a key of the metadata, and of a text among its values. The agent cuts to the latter; the portal, which
#: takes others' metadata too, looks at the bytes of the whole.
MAX_KEY = 200
MAX_VALUE = 500
#: Characters of a note on a device.
MAX_NOTE = 500
#: Keys of `params` and of `environment`, at their top level.
MAX_KEYS = 50
#: Bytes of `params` and of `environment`, as `metadata_bytes` counts them.
MAX_METADATA_BYTES = 16 * 1024
MAX_TAGS = 50
#: Names under which a run keeps metrics.
MAX_METRIC_NAMES = 100
#: Rows of a batch: samples, and each of stages, metrics and calls. The agent sends half of it at most.
MAX_SAMPLES = 10_000
MAX_ROWS = 2_000
MAX_DEVICES = 64
#: What a run may hold over all of its processes: each upload looks at its devices once more, under a lock.
MAX_WRITERS = 2_048
MAX_RUN_DEVICES = 2_048
MAX_STAGES = 20_000
#: Names of methods whose calls a run keeps.
MAX_METHODS = 200
#: Rows that say what a run did not keep.
MAX_LEFT_OUT = 64
#: Runs that a run names as measuring the same at the same time.
MAX_OVERLAPS = 64
#: Bytes of a request, depth of its JSON (the body itself is 0) and size of its whole numbers.
MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 8
MAX_INTEGER = 2**63 - 1
#: Calls, items, and how often something was left out: whole numbers that a JSON reader with doubles keeps exact.
MAX_COUNT = 2**53
#: About 30 years: no counter of seconds is larger.
MAX_SECONDS = 1e9
MAX_POWER_W = 1e6
#: Characters of a device's UUID, and the range of each of its numbers: cores and threads, GB, 0 to 1, watts.
MAX_UUID = 100
DEVICE_RANGES = {
    "cores": (0.001, 1e6),
    "host_cores": (0.001, 1e6),
    "host_threads": (0.001, 1e6),
    "threads": (0.001, 1e6),
    "memory_gb": (0.0, 1e7),
    "share": (0.0, 1.0),
    "power_limit_w": (0.0, MAX_POWER_W),
}
#: Keys of writers, devices and stages.
KEY_PATTERN = r"^[A-Za-z0-9._:-]{1,64}\Z"
#: They make one name look like another.
BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_refused(character: str) -> bool:
    """Whether no text may hold it: control characters, lone surrogates (no database stores them), bidi overrides."""
    return unicodedata.category(character) in ("Cc", "Cs") or character in BIDI_OVERRIDES


def is_clean(text: str) -> bool:
    """Whether each character of a text may be stored."""
    return (text.isascii() and text.isprintable()) or not any(map(is_refused, text))


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """The text as one line of NFC that `is_clean`, without white space around it, at most `limit` characters."""
    text = text[: 4 * limit]  # it may have megabytes
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if c in "\r\n\t" else c for c in text if c in "\r\n\t" or not is_refused(c))
        text = unicodedata.normalize("NFC", text)
    return text.strip()[:limit].strip()


def metadata_bytes(value) -> int:
    """Bytes of a JSON value in UTF-8 without spaces: as it is meant, not as one encoder or another escapes it."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def excess_keys(metadata: dict) -> list[str]:
    """The keys to take out of a mapping for the rest to fit: those after the fiftieth, then the largest ones."""
    keys = list(metadata)
    excess = keys[MAX_KEYS:]
    bytes_of = {key: metadata_bytes({key: metadata[key]}) - 1 for key in keys[:MAX_KEYS]}  # with a comma, no braces
    beyond = sum(bytes_of.values()) + 1 - MAX_METADATA_BYTES
    for key in sorted(bytes_of, key=bytes_of.__getitem__, reverse=True):
        if beyond <= 0:
            break
        excess.append(key)
        beyond -= bytes_of[key]
    return excess
