"""The changes of a profile from its history, to explain why figures changed."""

from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from hardware.models import HardwareProfile

#: Fields whose changes are shown, with their name and unit in words.
WORDS = {
    "tdp_w": ("TDP", " W"),
    "idle_w": ("idle power", " W"),
    "full_load_w": ("full-load power", " W"),
    "unit": ("unit", ""),
    "kind": ("kind", ""),
    "cores": ("cores", ""),
    "threads": ("threads", ""),
    "memory_gb": ("memory", " GB"),
    "peak_tflops": ("peak throughput", " TFLOPS"),
    "fallback": ("fallback", ""),
    "name": ("name", ""),
    "source": ("source", ""),
    "confidence": ("confidence", ""),
}
MOST_CHANGES = 20
LONGEST_VALUE = 60


class Change(NamedTuple):
    """A change of a profile: time, reason, and old and new values in words."""

    at: datetime
    reason: str
    words: str


def history_of(profile: HardwareProfile) -> list[Change]:
    """The changes that are shown to readers, newest first."""
    versions = list(profile.history.order_by("-history_date", "-history_id")[: MOST_CHANGES + 1])
    return [
        Change(after.history_date, after.history_change_reason or "", words)
        for after, before in pairwise(versions)
        if (words := difference(before, after))
    ]


def last_change(profile: HardwareProfile) -> str:
    """The last change in words, such as `TDP 72 W → 75 W`."""
    versions = list(profile.history.order_by("-history_date", "-history_id")[:2])
    return (difference(versions[1], versions[0]) or "no values") if len(versions) == 2 else "new"


def difference(before, after) -> str:
    """The difference in words: `TDP 72 W → 75 W, idle power not stated → 12 W`; empty if no shown field differs."""
    return ", ".join(
        f"{word} {_shown(getattr(before, field), unit)} → {_shown(getattr(after, field), unit)}"
        for field, (word, unit) in WORDS.items()
        if getattr(before, field) != getattr(after, field)
    )


def _shown(value, unit: str) -> str:
    if value is None or value == "":
        return "not stated"
    shown = f"{value:.10g}" if isinstance(value, float) else str(value)
    return f"{shown if len(shown) <= LONGEST_VALUE else shown[: LONGEST_VALUE - 1] + '…'}{unit}"
