"""The hardware catalogue: which power profile a reported device name belongs to.

Pure: standard library only. The agent asks the seed data beside this module, the portal builds a `Catalogue` from the
rows that its admins edit; both match by the same rules. A wrong match is worse than none: where a name leaves profiles
of different power possible, nothing matches, and the device takes its kind's fallback profile.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from traceml_agent import profiles
from traceml_agent.candidates import middle_one, narrowed, of_memory, one_power_class
from traceml_agent.device_names import FORM, FORMS, XEON_TIER, XEON_TIERS, accelerator_key, cpu_key, vgpu_gb
from traceml_agent.profiles import (
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
from traceml_agent.shelves import NUMBER, Match, Shelf, has, longest_number, plain

__all__ = ["DATA", "PROFILE_FILES", "Catalogue", "Factor", "Match", "Profile", "explain", "factor", "match"]
__all__ += ["constants", "profile_for", "read_profiles", "use"]
__all__ += ["INSTANCE_FILE", "Instance", "instance", "read_instances", "resolve"]

ACTIVE_FACTOR_KEY = "ci_world_ember_2025"


class Factor(NamedTuple):
    """An emission factor in kgCO2e per kWh with the year that it is of and its source."""

    kg_per_kwh: float
    year: int
    source: str
    url: str


MEMORY_SLUG = "memory-per-gb"
FALLBACK_SLUGS = {"cpu": "generic-cpu-thread", "gpu": "generic-gpu", "tpu": "generic-tpu", "npu": "generic-npu"}
FALLBACK_OTHER = "generic-other"


class Catalogue:
    """An index over profiles: anything with a PowerProfile's and these: slug, name, aliases, form_factor, memory_gb.

    Profiles are put by the numbers in their names, which no rule below changes: quick to build, since only the few
    profiles that share a reported name's longest number are ever looked at closely.
    """

    def __init__(self, profiles: Iterable[Any]):
        self.by_slug: dict[str, Any] = {}
        self._by_number: dict[tuple[bool, str], list] = {}
        self._shelves: dict[tuple[bool, str], Shelf] = {}
        for profile in profiles:
            self.by_slug[profile.slug] = profile
            is_cpu = profile.kind == "cpu"
            for number in {"", *NUMBER.findall("|".join((profile.name, *profile.aliases)))}:
                self._by_number.setdefault((is_cpu, number), []).append(profile)

    def explain(self, name: str, kind: str | None = None, memory_gb=None, power_limit_w=None) -> Match | None:
        """The profile that a reported name belongs to and how it was found, or None.

        `memory_gb` (GB or GiB as the driver reports) and `power_limit_w` separate cards of one name.
        """
        if kind is None:
            return self.explain(name, "cpu") or self.explain(name, "gpu", memory_gb, power_limit_w)
        is_cpu = kind == "cpu"
        if not is_cpu and vgpu_gb(name):
            return self._vgpu(name, power_limit_w)
        exact = self._shelf(is_cpu, name).names.get(plain(name))
        if exact and not (memory_gb or power_limit_w):
            return exact
        found = self._cpu(name) if is_cpu else self._accelerator(name, memory_gb, power_limit_w)
        return found or exact

    def match(self, name: str, kind: str | None = None, memory_gb=None, power_limit_w=None):
        """The profile that a reported name belongs to, or None."""
        found = self.explain(name, kind, memory_gb, power_limit_w)
        return found.profile if found else None

    def profile_for(self, name: str, kind: str, memory_gb=None, power_limit_w=None):
        """The profile to estimate with: the match, else the kind's fallback; None if the catalogue lacks even that."""
        found = self.resolve(name, kind, memory_gb, power_limit_w)
        return found.profile if found else None

    def resolve(self, name: str, kind: str, memory_gb=None, power_limit_w=None) -> Match | None:
        """The profile to estimate with and why it is that; `kind` and `fallback` are no matches of the name."""
        found = None if kind == "ram" else self.explain(name, kind, memory_gb, power_limit_w)
        if found:
            return found
        slug = MEMORY_SLUG if kind == "ram" else FALLBACK_SLUGS.get(kind, FALLBACK_OTHER)
        profile = self.by_slug.get(slug)
        return Match(profile, "kind" if kind == "ram" else "fallback") if profile else None

    def _shelf(self, is_cpu: bool, text: str) -> Shelf:
        """The names that share the longest number of a text."""
        number = longest_number(text)
        place = (is_cpu, number)
        if place not in self._by_number:  # kept nowhere, lest reported names fill the memory
            return Shelf([])
        if place not in self._shelves:
            self._shelves[place] = Shelf([named for named in self._named(*place) if has(named[0], number)])
        return self._shelves[place]

    def _named(self, is_cpu: bool, number: str = "") -> Iterator[tuple[str, Any]]:
        for profile in self._by_number.get((is_cpu, number), ()):
            for name in (profile.name, *profile.aliases):
                yield name, profile

    def _cpu(self, name: str) -> Match | None:
        key = cpu_key(name)
        cpus = self._shelf(True, key).cpus
        found = one_power_class(cpus.get(key, []))
        if found is None and key.startswith("xeon"):  # people leave Xeon's tier out, and write it too often
            bare = XEON_TIER.sub("", key)
            options = [cpus.get(bare.replace("xeon ", f"xeon {tier}", 1), []) for tier in XEON_TIERS]
            found = one_power_class([profile for option in options for profile in option])
        return Match(found, "normalised name") if found and key else None

    def _accelerator(self, name: str, memory_gb, power_limit_w) -> Match | None:
        if name.rstrip().endswith("..."):
            return _of_family(narrowed(self._starting_with(name), memory_gb, power_limit_w))
        key, stated_gb = accelerator_key(name)
        options = self._of_key(key, stated_gb, memory_gb)
        found = one_power_class(narrowed(options, memory_gb, power_limit_w))
        if found:
            return Match(found, "normalised name")
        if options or not NUMBER.search(key):
            return None
        return _of_family(narrowed(self._any_form(key, stated_gb, memory_gb), memory_gb, power_limit_w))

    def _vgpu(self, name: str, power_limit_w) -> Match | None:
        """The card that a vGPU is a part of, if its GB are known: the driver's are the part's."""
        exact = self._shelf(False, name).names.get(plain(name))
        found = exact or self._accelerator(name, None, power_limit_w)
        return found if found and found.profile.memory_gb else None

    def _of_key(self, key: str, stated_gb: float | None, memory_gb: float | None) -> list:
        """Profiles of this key that fit the GB which a name states; where it states none, those that go without."""
        by_memory = self._shelf(False, key).accelerators.get(key, {}) if key else {}
        if stated_gb in by_memory and not (stated_gb is None and memory_gb):
            return by_memory[stated_gb]
        profiles = list(dict.fromkeys(profile for option in by_memory.values() for profile in option))
        return profiles if stated_gb is None else of_memory(profiles, stated_gb)

    def _starting_with(self, name: str) -> list:
        """What a name that nvidia-smi cut off ("RTX 6000 Ada Gene...") may go on to."""
        stem = plain(name.rstrip(". "))
        shown = len(stem) + len("...")  # a name that fits into this is never cut
        going_on = (p for each, p in self._plain_accelerators if len(each) > shown and each.startswith(stem))
        return list(dict.fromkeys(going_on))

    @cached_property
    def _plain_accelerators(self) -> list[tuple[str, Any]]:
        return [(plain(name), profile) for name, profile in self._named(False)]

    def variants(self, name: str) -> list:
        """Accelerators that a name as people write it leaves open: `H100` tells neither form factor nor memory."""
        key, stated_gb = accelerator_key(name)
        bare = " ".join(FORM.sub(" ", key).split())
        wanted = next((form for form in ("sxm", "pcie") if form in key), "")
        found: list = []
        for each in (f"{bare} {form}".strip() for form in FORMS if bare):
            by_memory = self._shelf(False, each).accelerators.get(each, {})
            profiles = [profile for option in by_memory.values() for profile in option]
            found += profiles if stated_gb is None else of_memory(profiles, stated_gb)
        return [profile for profile in dict.fromkeys(found) if profile.form_factor.lower().startswith(wanted)]

    def _any_form(self, key: str, stated_gb: float | None, memory_gb: float | None) -> list:
        """Profiles that a name without, or with a coarser form factor may mean: `v100`, `a100 sxm`."""
        bare = " ".join(FORM.sub(" ", key).split())
        wanted = next((form for form in ("sxm", "pcie") if form in key), "")
        keys = [f"{bare} {form}".strip() for form in FORMS]
        found = [profile for each in keys for profile in self._of_key(each, stated_gb, memory_gb)]
        return [profile for profile in dict.fromkeys(found) if profile.form_factor.lower().startswith(wanted)]


def _of_family(profiles: list) -> Match | None:
    found = middle_one(profiles)
    return Match(found, "family") if found else None


def use(folder: str) -> None:
    """Use this folder's CSV set, such as a copy of a portal's; the bundled one where it has none."""
    if profiles.use(folder):
        _parts.clear()
        for cached in (seed, _memory, constants):
            cached.cache_clear()


@lru_cache(maxsize=2)
def seed(is_cpu: bool) -> Catalogue:
    """The bundled catalogue of CPUs, or of everything else; each is read when first asked for."""
    return Catalogue(profile for name in _files(is_cpu) for _, profile in read_profiles(place(name)))


def seed_for(name: str, is_cpu: bool) -> Catalogue:
    """The bundled catalogue, or the part of it that decides about this name.

    An agent asks about two or three names: reading what shares their numbers costs it a millisecond and no memory. Who
    asks about more gets the whole.
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
    key = cpu_key(name) if is_cpu else accelerator_key(name)[0]
    needles = {longest_number(name), longest_number(key)} - {""}
    if name.rstrip().endswith("...") or not (needles or is_cpu):
        return seed(is_cpu)
    needles = needles or {name.lower().strip()} - {""}
    lines = lines_with(needles, read(_files(is_cpu)[0])) + generic_lines()
    return Catalogue(map(read_profile, csv.reader(lines)))


def _files(is_cpu: bool) -> tuple[str, str]:
    return ("cpus.csv" if is_cpu else "accelerators.csv"), GENERIC_FILE


def explain(name: str, kind: str | None = None, memory_gb=None, power_limit_w=None) -> Match | None:
    """The bundled catalogue's match with how it was found, or None."""
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


def resolve(name: str, kind: str, memory_gb=None, power_limit_w=None) -> Match:
    """The bundled profile to estimate with and why it is that."""
    found = seed(kind == "cpu").resolve(name, kind, memory_gb, power_limit_w)
    return found or Match(_memory(), "kind")


@lru_cache(maxsize=1)
def _memory() -> Profile:
    """Memory has one profile, whatever it is called."""
    return Catalogue(map(read_profile, csv.reader(generic_lines()))).by_slug[MEMORY_SLUG]


def instance(name: str):
    """The bundled entry of a cloud's machine type such as `p4d.24xlarge`, or None."""
    rows = (row for _, row in read_instances(os.path.join(DATA, INSTANCE_FILE)))
    return next((row for row in rows if row.name.lower() == name.lower().strip()), None)


def rented() -> dict[str, int]:
    """How many of the clouds' machine types have devices of a profile, by slug, which tells what is common; else 0."""
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
    """All world averages of the seed data, forecasts left out."""
    rows = [row for row in constants().values() if row["group"] == "carbon_intensity"]
    return [_factor(row) for row in rows if "forecast" not in row["key"]]


def _factor(row: dict[str, str]) -> Factor:
    """A row's factor; g are turned into kg here, in decimals: 472.94 / 1000 is 0.47293999999999997 to a computer."""
    source = row["source"] if row["unit"] == "gCO2e/kWh" else f"{row['source']} (CO2 alone)"
    url = row["url"] if row["url"].startswith("http") else ""
    return Factor(float(f"{row['value']}e-3"), int(row["year"]), source, url)
