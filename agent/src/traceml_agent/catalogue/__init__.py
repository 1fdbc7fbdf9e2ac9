"""The hardware catalogue: which power profile a reported device name belongs to.

Pure: standard library only. The agent uses the seed data beside this module; the portal builds a `Catalogue` from the
rows that its admins edit. Both match by the same rules. A wrong match is worse than none: if a name fits profiles of
different power, nothing matches, and the device gets the fallback profile of its kind.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from functools import lru_cache
from typing import NamedTuple

from traceml_agent.catalogue import profiles
from traceml_agent.catalogue.candidates import one_power_class
from traceml_agent.catalogue.device_names import accelerator_keys, cpu_keys, vgpu_gb
from traceml_agent.catalogue.matching import MEMORY_SLUG, Catalogue, is_cut
from traceml_agent.catalogue.profiles import (
    DATA,
    FACTOR_FILE,
    GENERIC_FILE,
    INSTANCE_FILE,
    PROFILE_FILES,
    Instance,
    Profile,
    generic_lines,
    lines_with,
    opened,
    place,
    read,
    read_instances,
    read_profile,
    read_profiles,
)
from traceml_agent.catalogue.shelves import Match, longest_number

__all__ = ["DATA", "PROFILE_FILES", "Catalogue", "Factor", "Match", "Profile", "explain", "factor", "match"]
__all__ += ["constants", "profile_for", "read_profiles", "use"]
__all__ += ["INSTANCE_FILE", "Instance", "instance", "read_instances", "resolve"]

ACTIVE_FACTOR_KEY = "ci_world_ember_2025"


class Factor(NamedTuple):
    """An emission factor in kgCO2e per kWh, with its year and source."""

    kg_per_kwh: float
    year: int
    source: str
    url: str


def use(folder: str) -> None:
    """Use this folder's CSV files, such as a copy of a portal's; the bundled ones if it has none."""
    if profiles.use(folder):
        _parts.clear()
        for cached in (seed, _memory, constants):
            cached.cache_clear()


@lru_cache(maxsize=2)
def seed(is_cpu: bool) -> Catalogue:
    """The bundled catalogue of CPUs, or of everything else. Each is read when first used."""
    return Catalogue(profile for name in _files(is_cpu) for _, profile in read_profiles(place(name)))


def seed_for(name: str, is_cpu: bool) -> Catalogue:
    """The bundled catalogue, or the part of it that decides about this name.

    An agent looks up two or three names: reading only profiles that share their numbers takes a millisecond and no
    memory. Further names use the whole catalogue.
    """
    part = _parts.get((name, is_cpu))
    if part is None:
        if len(_parts) >= MOST_PARTS:
            return seed(is_cpu)
        part = _parts[name, is_cpu] = _part(name, is_cpu)
    return part


MOST_PARTS = 8
_parts: dict[tuple[str, bool], Catalogue] = {}


def _part(name: str, is_cpu: bool) -> Catalogue:
    keys = cpu_keys(name) if is_cpu else (key for key, _ in accelerator_keys(name))
    needles = {longest_number(name), *map(longest_number, keys)} - {""}
    if is_cut(name) or not (needles or is_cpu):
        return seed(is_cpu)
    needles = needles or {name.lower().strip()} - {""}
    lines = lines_with(needles, read(_files(is_cpu)[0])) + generic_lines()
    return Catalogue(map(read_profile, csv.reader(lines)))


def _files(is_cpu: bool) -> tuple[str, str]:
    return ("cpus.csv" if is_cpu else "accelerators.csv"), GENERIC_FILE


def explain(name: str, kind: str | None = None, memory_gb=None, power_limit_w=None) -> Match | None:
    """The bundled catalogue's match and how it was found, or None."""
    if kind is None:
        return explain(name, "cpu") or explain(name, "gpu", memory_gb, power_limit_w)
    return seed_for(name, kind == "cpu").explain(name, kind, memory_gb, power_limit_w)


def match(name: str, kind: str | None = None, memory_gb=None, power_limit_w=None) -> Profile | None:
    """The bundled catalogue's profile for a reported device name, or None."""
    found = explain(name, kind, memory_gb, power_limit_w)
    return found.profile if found else None


def profile_for(name: str, kind: str, memory_gb=None, power_limit_w=None) -> Profile:
    """The bundled profile to estimate with: the match, else the kind's fallback."""
    if kind == "ram":
        return _memory()
    return seed_for(name, kind == "cpu").profile_for(name, kind, memory_gb, power_limit_w)


def most_likely(name: str) -> tuple[Match | None, list]:
    """The most likely accelerator for a name as people write it, and others of that name with a different power.

    A driver's `NVIDIA H100` is a rare card of 64 GB, but people who write H100 mean the one of 80 GB. None if the name
    fits several and none is common.
    """
    found = explain(name, "gpu")
    variants = [] if vgpu_gb(name) else seed(False).variants(name)
    if len(variants) < 2:
        return found, []
    ours, known = found and found.profile, rented()
    best = max(variants, key=lambda each: (known[each.slug], each.form_factor != "laptop", each == ours))
    if not (known[best.slug] or found):
        return None, variants
    others = [each for each in variants if one_power_class([best, each]) is None]
    return (found if best == ours else Match(best, "the common one")), others


def resolve(name: str, kind: str, memory_gb=None, power_limit_w=None) -> Match:
    """The bundled profile to estimate with, and how it was chosen."""
    found = seed(kind == "cpu").resolve(name, kind, memory_gb, power_limit_w)
    return found or Match(_memory(), "kind")


@lru_cache(maxsize=1)
def _memory() -> Profile:
    """The profile of memory: there is one for all names."""
    return Catalogue(map(read_profile, csv.reader(generic_lines()))).by_slug[MEMORY_SLUG]


def instance(name: str):
    """The bundled entry of a cloud's machine type such as `p4d.24xlarge`, or None."""
    rows = (row for _, row in read_instances(os.path.join(DATA, INSTANCE_FILE)))
    return next((row for row in rows if row.name.lower() == name.lower().strip()), None)


def rented() -> dict[str, int]:
    """How many cloud machine types have devices of a profile, by slug: a measure of what is common. 0 for others."""
    found: defaultdict[str, int] = defaultdict(int)
    for _, row in read_instances(os.path.join(DATA, INSTANCE_FILE)):
        found[row.slug] += 1
    return found


@lru_cache(maxsize=1)
def constants() -> dict[str, dict[str, str]]:
    """The rows of factors.csv by key: emission factors, PUE, constants and equivalences, each with its source."""
    with opened(place(FACTOR_FILE)) as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def factor(key: str = ACTIVE_FACTOR_KEY) -> Factor:
    """An emission factor of the seed data, by default the recommended world average."""
    return _factor(constants()[key])


def factors() -> list[Factor]:
    """All world averages of the seed data, without forecasts."""
    rows = [row for row in constants().values() if row["group"] == "carbon_intensity"]
    return [_factor(row) for row in rows if "forecast" not in row["key"]]


def _factor(row: dict[str, str]) -> Factor:
    """A row's factor, with g converted to kg in decimals: as floats, 472.94 / 1000 is 0.47293999999999997."""
    source = row["source"] if row["unit"] == "gCO2e/kWh" else f"{row['source']} (CO2 alone)"
    url = row["url"] if row["url"].startswith("http") else ""
    return Factor(float(f"{row['value']}e-3"), int(row["year"]), source, url)
