"""Names of the catalogue's profiles, indexed by the numbers in them, so that few have to be compared.

Pure: standard library only.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, NamedTuple

from traceml_agent.catalogue.device_names import XEON_TIER, accelerator_key, cpu_key, models

NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MODEL_NUMBER = re.compile(r"\d(?!\d|\.|\s?gi?b?\b)", re.IGNORECASE)


class Match(NamedTuple):
    """A profile and how it was found: `name`, `alias`, `normalised name` or `family`."""

    profile: Any
    how: str


class Shelf:
    """The profiles with one number in a name: few enough to compute their keys when first needed."""

    def __init__(self, named: list[tuple[str, Any]]):
        self._named = named
        self.names: dict[str, Match] = {}
        for name, profile in named:
            self.names.setdefault(plain(name), Match(profile, "name" if name == profile.name else "alias"))

    @cached_property
    def cpus(self) -> dict[str, list]:
        """CPUs by key."""
        found: dict[str, list] = {}
        for name, profile in self._named:
            _append(found.setdefault(cpu_key(name), []), profile)
        return found

    @cached_property
    def accelerators(self) -> dict[str, dict[float | None, list]]:
        """Accelerators by key, and then by the GB in their names."""
        found: dict[str, dict[float | None, list]] = {}
        for name, profile in self._named:
            key, stated_gb = accelerator_key(name)
            _append(found.setdefault(key, {}).setdefault(stated_gb, []), profile)
        return found

    @cached_property
    def cpu_models(self) -> list[list[str]]:
        """The words that distinguish its CPUs, with and without Xeon's tier."""
        return models({*self.cpus, *(XEON_TIER.sub("", key) for key in self.cpus)})

    @cached_property
    def accelerator_models(self) -> list[list[str]]:
        """The words that distinguish its accelerators."""
        return models(self.accelerators)


def plain(name: str) -> str:
    return " ".join(name.lower().split())


def longest_number(text: str) -> str:
    return max(NUMBER.findall(text), key=_weight, default="")


def _weight(number: str) -> tuple[bool, int]:
    # Many models share a clock ("2.40GHz"), so it comes last.
    return "." not in number, len(number)


def has(name: str, number: str) -> bool:
    return number in name if number else not _MODEL_NUMBER.search(name)


def _append(profiles: list, profile) -> None:
    """Add a profile once. Fallbacks and memory match only their own names."""
    if not (profile.fallback or profile.kind == "ram" or profile in profiles):
        profiles.append(profile)
