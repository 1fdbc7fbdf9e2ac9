"""The hardware catalogue: which power profile a reported device name belongs to.

Pure: standard library only. The agent asks the seed data beside this module, the portal builds a `Catalogue` from the
rows that its admins edit; both match by the same rules. A wrong match is worse than none: where a name leaves profiles
of different power possible, nothing matches, and the device takes its kind's fallback profile.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from traceml_agent.device_names import FORM, FORMS, XEON_TIER, XEON_TIERS, accelerator_key, cpu_key

DATA = Path(__file__).parent / "data"
GENERIC_FILE = "generic.csv"
PROFILE_FILES = ("accelerators.csv", "cpus.csv", GENERIC_FILE)
#: Profiles whose TDP differs by no more than this share count as one power class.
POWER_CLASS = 0.05
#: What a name may mean that leaves the form factor open has to lie this close: well inside an estimate's range.
DOUBT = 0.2
#: Drivers keep back up to this share of the memory on the label.
MEMORY_TOLERANCE = 0.08
GIB = 2**30 / 1e9
ACTIVE_FACTOR_KEY = "ci_world_ember_2024"


class Profile(NamedTuple):
    """A device model's power: watts, GB, counts; None where unknown. Satisfies estimation's PowerProfile."""

    slug: str
    vendor: str
    name: str
    kind: str
    family: str
    form_factor: str
    memory_gb: float | None
    cores: int | None
    threads: int | None
    tdp_w: float | None
    idle_w: float | None
    full_load_w: float | None
    unit: str
    fallback: bool
    year: int | None
    source: str
    confidence: str
    note: str
    aliases: tuple[str, ...]


class Match(NamedTuple):
    """A profile and how it was found: `name`, `alias`, `normalised name` or `family`."""

    profile: Any
    how: str


class Factor(NamedTuple):
    """An emission factor in kgCO2e per kWh with the year that it is of and its source."""

    kg_per_kwh: float
    year: int
    source: str
    url: str


MEMORY_SLUG = "memory-per-gb"
FALLBACK_SLUGS = {"cpu": "generic-cpu-thread", "gpu": "generic-gpu", "tpu": "generic-tpu", "npu": "generic-npu"}
FALLBACK_OTHER = "generic-other"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MODEL_NUMBER = re.compile(r"\d(?!\d|\.|\s?gi?b?\b)", re.IGNORECASE)


class Shelf:
    """The profiles with one number in a name: small enough to work out their names' keys when first asked for."""

    def __init__(self, named: list[tuple[str, Any]]):
        self._named = named
        self.names: dict[str, Match] = {}
        for name, profile in named:
            self.names.setdefault(_plain(name), Match(profile, "name" if name == profile.name else "alias"))

    @cached_property
    def cpus(self) -> dict[str, list]:
        """CPUs by key."""
        found: dict[str, list] = {}
        for name, profile in self._named:
            _append(found.setdefault(cpu_key(name), []), profile)
        return found

    @cached_property
    def accelerators(self) -> dict[str, dict[float | None, list]]:
        """Accelerators by key, and within it by the GB that their names state."""
        found: dict[str, dict[float | None, list]] = {}
        for name, profile in self._named:
            key, stated_gb = accelerator_key(name)
            _append(found.setdefault(key, {}).setdefault(stated_gb, []), profile)
        return found


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
            for number in {"", *_NUMBER.findall("|".join((profile.name, *profile.aliases)))}:
                self._by_number.setdefault((is_cpu, number), []).append(profile)

    def explain(self, name: str, kind: str | None = None, memory_gb=None, power_limit_w=None) -> Match | None:
        """The profile that a reported name belongs to and how it was found, or None.

        `memory_gb` (GB or GiB as the driver reports) and `power_limit_w` separate cards of one name.
        """
        if kind is None:
            return self.explain(name, "cpu") or self.explain(name, "gpu", memory_gb, power_limit_w)
        is_cpu = kind == "cpu"
        exact = self._shelf(is_cpu, name).names.get(_plain(name))
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
        if kind == "ram":
            return self.by_slug.get(MEMORY_SLUG)
        found = self.match(name, kind, memory_gb, power_limit_w)
        return found or self.by_slug.get(FALLBACK_SLUGS.get(kind, FALLBACK_OTHER))

    def _shelf(self, is_cpu: bool, text: str) -> Shelf:
        """The names that share the longest number of a text."""
        number = max(_NUMBER.findall(text), key=_weight, default="")
        place = (is_cpu, number)
        if place not in self._by_number:  # kept nowhere, lest reported names fill the memory
            return Shelf([])
        if place not in self._shelves:
            self._shelves[place] = Shelf([named for named in self._named(*place) if _has(named[0], number)])
        return self._shelves[place]

    def _named(self, is_cpu: bool, number: str = "") -> Iterator[tuple[str, Any]]:
        for profile in self._by_number.get((is_cpu, number), ()):
            for name in (profile.name, *profile.aliases):
                yield name, profile

    def _cpu(self, name: str) -> Match | None:
        key = cpu_key(name)
        cpus = self._shelf(True, key).cpus
        found = _one_power_class(cpus.get(key, []))
        if found is None and key.startswith("xeon"):  # people leave Xeon's tier out, and write it too often
            bare = XEON_TIER.sub("", key)
            options = [cpus.get(bare.replace("xeon ", f"xeon {tier}", 1), []) for tier in XEON_TIERS]
            found = _one_power_class([profile for option in options for profile in option])
        return Match(found, "normalised name") if found and key else None

    def _accelerator(self, name: str, memory_gb, power_limit_w) -> Match | None:
        if name.rstrip().endswith("..."):
            return _likeliest(_narrowed(self._starting_with(name), memory_gb, power_limit_w))
        key, stated_gb = accelerator_key(name)
        options = self._of_key(key, stated_gb, memory_gb)
        found = _one_power_class(_narrowed(options, memory_gb, power_limit_w))
        if found:
            return Match(found, "normalised name")
        if options or not _NUMBER.search(key):
            return None
        return _likeliest(_narrowed(self._any_form(key, stated_gb, memory_gb), memory_gb, power_limit_w))

    def _of_key(self, key: str, stated_gb: float | None, memory_gb: float | None) -> list:
        """Profiles of this key that fit the GB which a name states; where it states none, those that go without."""
        by_memory = self._shelf(False, key).accelerators.get(key, {}) if key else {}
        if stated_gb in by_memory and not (stated_gb is None and memory_gb):
            return by_memory[stated_gb]
        profiles = list(dict.fromkeys(profile for option in by_memory.values() for profile in option))
        return profiles if stated_gb is None else _of_memory(profiles, stated_gb)

    def _starting_with(self, name: str) -> list:
        """What a name that nvidia-smi cut off ("RTX 6000 Ada Gene...") may go on to."""
        stem = _plain(name.rstrip(". "))
        shown = len(stem) + len("...")  # a name that fits into this is never cut
        going_on = (p for each, p in self._plain_accelerators if len(each) > shown and each.startswith(stem))
        return list(dict.fromkeys(going_on))

    @cached_property
    def _plain_accelerators(self) -> list[tuple[str, Any]]:
        return [(_plain(name), profile) for name, profile in self._named(False)]

    def _any_form(self, key: str, stated_gb: float | None, memory_gb: float | None) -> list:
        """Profiles that a name without, or with a coarser form factor may mean: `v100`, `a100 sxm`."""
        bare = " ".join(FORM.sub(" ", key).split())
        wanted = next((form for form in ("sxm", "pcie") if form in key), "")
        keys = [f"{bare} {form}".strip() for form in FORMS]
        found = [profile for each in keys for profile in self._of_key(each, stated_gb, memory_gb)]
        return [profile for profile in dict.fromkeys(found) if profile.form_factor.lower().startswith(wanted)]


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


def _weight(number: str) -> tuple[bool, int]:
    # Many models share a clock ("2.40GHz"), so it is asked last.
    return "." not in number, len(number)


def _has(name: str, number: str) -> bool:
    return number in name if number else not _MODEL_NUMBER.search(name)


def _append(profiles: list, profile) -> None:
    """Add a profile once. Fallbacks and memory stand for no name but their own."""
    if not (profile.fallback or profile.kind == "ram" or profile in profiles):
        profiles.append(profile)


def _memory_misfit(profile, memory_gb: float) -> float:
    """How far, as a share, a profile's memory is from what a driver reports, which may count in GiB."""
    return min(abs(memory_gb / (profile.memory_gb * unit) - 1) for unit in (1, GIB)) if profile.memory_gb else 1.0


def _of_memory(profiles: list, memory_gb: float) -> list:
    """The profiles whose memory comes nearest, or none where none comes near."""
    misfits = [(_memory_misfit(profile, memory_gb), profile) for profile in profiles]
    nearest = min((misfit for misfit, _ in misfits), default=1.0)
    if nearest > MEMORY_TOLERANCE:
        return []
    return [profile for misfit, profile in misfits if misfit <= nearest + 0.01]


def _narrowed(profiles: list, memory_gb: float | None, power_limit_w: float | None) -> list:
    """Profiles that memory and power limit leave; a clue that fits none, as a MIG slice's GB, is passed over."""
    if memory_gb:
        profiles = _of_memory(profiles, memory_gb) or profiles
    if power_limit_w and _one_power_class(profiles) is None:
        near = [p for p in profiles if p.tdp_w and abs(p.tdp_w - power_limit_w) <= POWER_CLASS * p.tdp_w]
        profiles = near or profiles
    return profiles


def _one_power_class(profiles: list):
    """The first of profiles that draw the same power, or None where they differ."""
    powers = [profile.tdp_w or 0.0 for profile in profiles]
    if not powers or max(powers) - min(powers) > POWER_CLASS * max(powers):
        return None
    return profiles[0]


def _likeliest(profiles: list) -> Match | None:
    """The middle one of profiles that a loose name may mean, if none is much off its power."""
    powers = sorted(profile.tdp_w or 0.0 for profile in profiles)
    middle_w = powers[len(powers) // 2] if powers else 0.0
    if not middle_w or max(powers[-1] - middle_w, middle_w - powers[0]) > DOUBT * middle_w:
        return None
    return Match(next(profile for profile in profiles if profile.tdp_w == middle_w), "family")


def _number(text: str) -> float | None:
    if text and not isfinite(float(text)):
        raise ValueError(f"{text} is no number of this world")
    return float(text) if text else None


def _count(text: str) -> int | None:
    return int(text) if text else None


def read_profile(row: list[str]) -> Profile:
    """A profile from a row of the seed data. Raises ValueError for a row of wrong length or what is no number."""
    if len(row) != len(Profile._fields):
        raise ValueError(f"{len(row)} cells instead of {len(Profile._fields)}")
    slug, vendor, name, kind, family, form_factor = row[:6]
    memory_gb, tdp_w, idle_w, full_load_w = map(_number, (row[6], *row[9:12]))
    cores, threads, year = map(_count, (row[7], row[8], row[14]))
    unit, is_fallback, source, confidence, note = row[12], row[13] == "1", *row[15:18]
    aliases = tuple(row[18].split("|")) if row[18] else ()
    device = (slug, vendor, name, kind, family, form_factor, memory_gb, cores, threads)
    power = (tdp_w, idle_w, full_load_w, unit, is_fallback)
    return Profile(*device, *power, year, source, confidence, note, aliases)


def read_profiles(path: Path) -> Iterator[tuple[int, Profile]]:
    """Profiles of a seed file with their line numbers. Raises ValueError, with the line, for what can't be read."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        try:
            if tuple(next(reader, ())) != Profile._fields:
                raise ValueError(f"the columns must be {', '.join(Profile._fields)}")
            for row in reader:
                yield reader.line_num, read_profile(row)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None


@lru_cache(maxsize=2)
def seed(is_cpu: bool) -> Catalogue:
    """The bundled catalogue of CPUs, or of everything else; each is read when first asked for."""
    return Catalogue(profile for name in _files(is_cpu) for _, profile in read_profiles(DATA / name))


@lru_cache(maxsize=64)
def seed_for(name: str, is_cpu: bool) -> Catalogue:
    """The part of the bundled catalogue that decides about one name: what an agent needs costs it no megabytes.

    Only profiles that share a number with a name, or where it has none all of its words, can be its match.
    """
    needles = _NUMBER.findall(name) or ([name.lower().strip()] if is_cpu else [])
    if not needles or name.rstrip().endswith("..."):
        return seed(is_cpu)
    rows: list[list[str]] = []
    for file in _files(is_cpu):
        lines = (DATA / file).read_text(encoding="utf-8").splitlines()[1:]
        generic = file == GENERIC_FILE
        rows += csv.reader(line for line in lines if generic or any(needle in line.lower() for needle in needles))
    return Catalogue(map(read_profile, rows))


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
    return seed_for(name, kind == "cpu").profile_for(name, kind, memory_gb, power_limit_w)


@lru_cache(maxsize=1)
def constants() -> dict[str, dict[str, str]]:
    """The rows of factors.csv by key: emission factors, PUE, constants and equivalences, each with its source."""
    with (DATA / "factors.csv").open(newline="", encoding="utf-8") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def factor(key: str = ACTIVE_FACTOR_KEY) -> Factor:
    """An emission factor of the seed data, by default the recommended world average; g are turned into kg here."""
    row = constants()[key]
    return Factor(float(row["value"]) / 1000, int(row["year"]), row["source"], row["url"])
