"""The limits of a run that agent and portal share, and how each is counted.

Pure: standard library only. The agent cuts to these limits before it sends anything; the portal refuses what exceeds
them. When a limit was defined twice, it was counted in two ways, and whole runs were refused.
"""

from __future__ import annotations

import json
import unicodedata

#: Characters (code points, in NFC) of a name, a tag, a metric's or a method's name.
MAX_TEXT = 200
#: Characters of a key of the metadata, and of a text value. The agent cuts values to this; the portal, which accepts
#: other clients too, only limits the bytes of the whole.
MAX_KEY = 200
MAX_VALUE = 500
#: Characters of a note on a device.
MAX_NOTE = 500
#: Keys of `params` and of `environment`, at their top level: a Hugging Face training has about 150 parameters.
MAX_KEYS = 200
#: Bytes of `params` and of `environment`, as `metadata_bytes` counts them.
MAX_METADATA_BYTES = 16 * 1024
MAX_TAGS = 50
#: Names of metrics per run.
MAX_METRIC_NAMES = 100
#: Rows of a batch: samples, and each of stages, metrics and calls. The agent sends at most half as many.
MAX_SAMPLES = 10_000
MAX_ROWS = 2_000
MAX_DEVICES = 64
#: Limits of a run over all of its processes, since each upload reads all of its devices under a lock.
MAX_WRITERS = 2_048
MAX_RUN_DEVICES = 2_048
MAX_STAGES = 20_000
#: Stages that a series may be said to have.
MAX_TOTAL = 2**31 - 1
#: Names of called methods per run.
MAX_METHODS = 200
#: Rows that say what a run did not keep.
MAX_LEFT_OUT = 64
#: Overlapping runs that a run may name.
MAX_OVERLAPS = 64
#: Bytes of a request, depth of its JSON (the body itself is 0) and size of its whole numbers.
MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 8
MAX_INTEGER = 2**63 - 1
#: Calls, items, and counts of what was left out: whole numbers that are exact as doubles.
MAX_COUNT = 2**53
#: About 30 years: no counter of seconds is larger.
MAX_SECONDS = 1e9
MAX_POWER_W = 1e6
#: Characters of a device's UUID, and the range of each of its numbers: cores and threads, GB, 0 to 1, watts,
#: factors of its energy.
MAX_UUID = 100
DEVICE_RANGES = {
    "cores": (0.001, 1e6),
    "host_cores": (0.001, 1e6),
    "host_threads": (0.001, 1e6),
    "threads": (0.001, 1e6),
    "memory_gb": (0.0, 1e7),
    "share": (0.0, 1.0),
    "power_limit_w": (0.0, MAX_POWER_W),
    "range_low": (0.0, 1.0),
    "range_high": (1.0, 1e6),
}
#: Keys of writers, devices and stages.
KEY_PATTERN = r"^[A-Za-z0-9._:-]{1,64}\Z"
#: Characters that can make one name look like another.
BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_refused(character: str) -> bool:
    """Whether no text may contain it: control characters, lone surrogates (no database stores them), bidi overrides."""
    return unicodedata.category(character) in ("Cc", "Cs") or character in BIDI_OVERRIDES


def is_clean(text: str) -> bool:
    """Whether each character of a text may be stored."""
    return (text.isascii() and text.isprintable()) or not any(map(is_refused, text))


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """The text as one clean line in NFC, without surrounding white space, at most `limit` characters."""
    text = text[: 4 * limit]  # it may be megabytes long
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if c in "\r\n\t" else c for c in text if c in "\r\n\t" or not is_refused(c))
        text = unicodedata.normalize("NFC", text)
    return text.strip()[:limit].strip()


def metadata_bytes(value) -> int:
    """Bytes of a JSON value in UTF-8 without spaces and without escapes, which differ between encoders."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def excess_keys(metadata: dict) -> list[str]:
    """The keys to remove from a mapping so that the rest fits: those after the 200th, then the largest ones."""
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
