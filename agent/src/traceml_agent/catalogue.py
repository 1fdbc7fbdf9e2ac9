"""The hardware catalogue: which power profile a reported device name belongs to.

Pure: standard library only. The agent asks the seed data beside this module, the portal builds a `Catalogue` from the
rows that its admins edit; both match by the same rules. A wrong match is worse than none: where a name leaves profiles of
different power possible, nothing matches, and the device takes its kind's fallback profile.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent / "data"
PROFILE_FILES = ("accelerators.csv", "cpus.csv", "generic.csv")
#: Profiles whose TDP differs by no more than this share count as one power class.
POWER_CLASS = 0.05
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
    """A profile and how it was found: `alias`, `name`, `normalised name`, `family` or `fallback`."""

    profile: Any
    how: str


class Factor(NamedTuple):
    """An emission factor in kgCO2e per kWh with the year that it is of and its source."""

    kg_per_kwh: float
    year: int
    source: str
    url: str


FALLBACK_SLUGS = {
    "cpu": "generic-cpu-thread",
    "gpu": "generic-gpu",
    "tpu": "generic-tpu",
    "npu": "generic-npu",
    "ram": "memory-per-gb",
}
FALLBACK_OTHER = "generic-other"
#: The agent can't always tell an accelerator's kind; a TPU may be listed as a GPU.
ACCELERATORS = ("gpu", "tpu", "npu", "other")

_MARKS = re.compile(r"\((?:r|tm|c)\)|[®™©]|(?<=\bcore)t\b", re.IGNORECASE)
_COUNT = re.compile(r"^\d+\s*x\s*(?=[a-z]{2})")
_MIG = re.compile(r"\bmig \d+g\.\d+gb.*$")
_SPACES = re.compile(r"[^a-z0-9+]+")
_CPU_NOISE = re.compile(
    r"^dual |@.*$|\bw(?:ith|/) radeon.*$|\bradeon .*$|\b\d+(?:\.\d+)?\s*[gm]hz\b|\b\d+(?:st|nd|rd|th) gen\b"
    r"|\b(?:\d+|dual|two|quad|four|triple|six|eight|ten|twelve|sixteen|thirty-two)[- ]cores?\b|\bprocessors?\b|\bcpu\b|\bsoc\b"
    r"|\bintel\b|\bamd\b(?!64)|\bgenuine\b|\bapu\b"
)
_CPU_CODENAMES = re.compile(r"^(?:turin|genoa|bergamo|milan|rome|naples)\b(?=.*\d)")
_XEON_TIER = re.compile(r"\b(?:platinum|gold|silver|bronze)\b ?")
_GPU_BRACKETS = re.compile(r"^.*\[((?:amd |nvidia |geforce |radeon |instinct |tesla |quadro )[^\]/]*)\].*$")
_GPU_NOISE = re.compile(
    r"\([\d.]+\s*g\w*\)|\bnvidia(?: corporation)?\b|\badvanced micro devices,? inc\.?"
    r"|\[amd/ati\]|\bamd\b|\bati\b|\bintel\b|\btesla\b|\bgrid\b|\bgeforce\b|\bradeon\b|\binstinct\b|\bgoogle\b|\baws\b"
    r"|\btensor core\b|\bgpu\b(?! max)|\bgraphics\b|\bhbm\d?e?\b|\bgddr\d\w?\b|\boam\b|\bdlc\b|\bvf\b|\baccelerator\b|\bprocessor\b|\bnps\d\b|\bspx\b|\b\d{2,4}w\b"
)
_VGPU_PROFILE = re.compile(r"(?<=[a-z0-9])-\d+[qcab]\b(?:me)?$")
_MEMORY = re.compile(r"\b(\d+(?:\.\d+)?)\s?g(?:i?b)?\b", re.IGNORECASE)
_SXM = re.compile(r"\bsxm\d?\b")


def cpu_key(name: str) -> str:
    """What is left of a CPU's name that tells models apart: `core i7 8700k`, `xeon e5 2680 v3`, `epyc 7742`.

    Empty for names without any model number: virtual CPUs, families, engineering samples.
    """
    text = _CPU_NOISE.sub(" ", _COUNT.sub("", _MARKS.sub("", name).lower()))
    words = _SPACES.sub(" ", text.replace("+", " plus")).split()
    if words[-1:] == ["0"]:  # "E5-2680 0": Intel's mark of a first version
        words.pop()
    key = _CPU_CODENAMES.sub("epyc", " ".join(words))
    return key if any(character.isdigit() for character in key) else ""


def accelerator_key(name: str) -> tuple[str, float | None]:
    """What tells accelerator models apart, and the GB that the name states: (`a100 sxm4`, 40.0)."""
    text = _MIG.sub("", _COUNT.sub("", _MARKS.sub("", name).lower())).strip()
    text = _VGPU_PROFILE.sub("", _GPU_BRACKETS.sub(r"\1", text).replace("_", " ").replace("/", " "))
    memory = _MEMORY.search(text.replace("-", " "))
    text = _GPU_NOISE.sub(" ", _MEMORY.sub(" ", text.replace("-", " ")))
    return " ".join(_SPACES.sub(" ", text.replace("+", " plus")).split()), float(memory[1]) if memory else None


class Catalogue:
    """An index over profiles: anything with `slug`, `name`, `kind`, `tdp_w`, `memory_gb` and `aliases` of text."""

    def __init__(self, profiles: Iterable[Any]):
        self.by_slug: dict[str, Any] = {}
        self._names: dict[tuple[bool, str], Match] = {}
        self._cpus: dict[str, list] = {}
        self._accelerators: dict[str, list] = {}
        for profile in profiles:
            self.by_slug[profile.slug] = profile
            self._add(profile)

    def _add(self, profile) -> None:
        is_cpu = profile.kind == "cpu"
        for how, name in (("name", profile.name), *(("alias", alias) for alias in profile.aliases)):
            self._names.setdefault((is_cpu, _plain(name)), Match(profile, how))
            if profile.fallback or profile.kind == "ram":
                continue
            if is_cpu:
                _append(self._cpus, cpu_key(name), profile)
            else:
                key, _ = accelerator_key(name)
                _append(self._accelerators, key, profile)

    def explain(self, name: str, kind: str | None = None, memory_gb=None, power_limit_w=None) -> Match | None:
        """The profile that a reported name belongs to and how it was found, or None.

        `memory_gb` (GB or GiB as the driver reports) and `power_limit_w` separate cards of one name.
        """
        if kind is None:
            return self.explain(name, "cpu") or self.explain(name, "gpu", memory_gb, power_limit_w)
        is_cpu = kind == "cpu"
        exact = self._names.get((is_cpu, _plain(name)))
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
            return self.by_slug.get(FALLBACK_SLUGS["ram"])
        found = self.match(name, kind, memory_gb, power_limit_w)
        return found or self.by_slug.get(FALLBACK_SLUGS.get(kind, FALLBACK_OTHER))

    def _cpu(self, name: str) -> Match | None:
        key = cpu_key(name)
        found = _one_power_class(self._cpus.get(key, []))
        if found is None and key.startswith("xeon"):  # people leave Xeon's tier out, and write it too often
            tiers = ("platinum ", "gold ", "silver ", "bronze ")
            bare = _XEON_TIER.sub("", key)
            options = [self._cpus.get(bare.replace("xeon ", f"xeon {tier}", 1), []) for tier in (*tiers, "")]
            found = _one_power_class([profile for option in options for profile in option])
        return Match(found, "normalised name") if found else None

    def _accelerator(self, name: str, memory_gb, power_limit_w) -> Match | None:
        if name.rstrip().endswith("..."):
            found = _narrowed(self._starting_with(_plain(name.rstrip(". "))), memory_gb, power_limit_w)
            return Match(found, "family") if found else None
        key, stated_gb = accelerator_key(name)
        options, how = self._accelerators.get(key, []), "normalised name"
        if not options and any(character.isdigit() for character in key):
            options, how = self._any_form(key), "family"
        found = _narrowed(_of_memory(options, stated_gb, exact=True), memory_gb, power_limit_w)
        return Match(found, how) if found else None

    def _starting_with(self, stem: str) -> list:
        """What a name that nvidia-smi cut off ("RTX 6000 Ada Gene...") may go on to: it cuts off at least three signs."""
        return [
            found.profile
            for (is_cpu, name), found in self._names.items()
            if not is_cpu and name.startswith(stem) and len(name) > len(stem) + 3
        ]

    def _any_form(self, key: str) -> list:
        """Profiles that a name without, or with a coarser form factor may mean: `v100`, `a100 sxm`."""
        bare = " ".join(_SXM.sub(" ", key).replace("pcie", " ").split())
        wants_sxm, wants_pcie = bool(_SXM.search(key)), "pcie" in key.split()
        found = []
        for form in ("", " sxm", " sxm2", " sxm3", " sxm4", " sxm5", " sxm6", " pcie"):
            is_sxm = form.startswith(" sxm")
            if (wants_sxm and form == " pcie") or (wants_pcie and is_sxm):
                continue
            found += self._accelerators.get(bare + form, [])
        if wants_sxm or wants_pcie:
            wanted = "sxm" if wants_sxm else "pcie"
            found = [p for p in found if (getattr(p, "form_factor", "") or "").lower().startswith(wanted)] or (
                found if wants_pcie else []
            )
        return found


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


def _append(index: dict[str, list], key: str, profile) -> None:
    if key and profile not in (profiles := index.setdefault(key, [])):
        profiles.append(profile)


def _of_memory(profiles: list, memory_gb: float | None, exact: bool = False) -> list:
    """Profiles with this much memory; drivers report a few per cent less than the label, or count in GiB."""
    if not memory_gb:
        return profiles
    tolerance = 0.02 if exact else 0.12
    fitting = [p for p in profiles if p.memory_gb and abs(p.memory_gb - memory_gb) <= tolerance * p.memory_gb]
    if fitting or not exact:
        return fitting or profiles
    return [p for p in profiles if not p.memory_gb or len(profiles) == 1]


def _narrowed(profiles: list, memory_gb, power_limit_w):
    """The one profile, or several of one power class, that memory and power limit leave."""
    profiles = _of_memory(profiles, memory_gb)
    if power_limit_w and _one_power_class(profiles) is None:
        near = [p for p in profiles if p.tdp_w and abs(p.tdp_w - power_limit_w) <= POWER_CLASS * p.tdp_w]
        profiles = near or profiles
    return _one_power_class(profiles)


def _one_power_class(profiles: list):
    """The first of profiles that draw the same power, or None where they differ."""
    powers = [profile.tdp_w or 0.0 for profile in profiles]
    if not powers or max(powers) - min(powers) > POWER_CLASS * max(powers):
        return None
    return profiles[0]


def _number(text: str) -> float | None:
    return float(text) if text else None


def _count(text: str) -> int | None:
    return int(float(text)) if text else None


def read_profile(row: dict[str, str]) -> Profile:
    """A profile from a row of the seed data. Raises KeyError or ValueError for a column that is missing or no number."""
    return Profile(
        slug=row["slug"],
        vendor=row["vendor"],
        name=row["name"],
        kind=row["kind"],
        family=row["family"],
        form_factor=row["form_factor"],
        memory_gb=_number(row["memory_gb"]),
        cores=_count(row["cores"]),
        threads=_count(row["threads"]),
        tdp_w=_number(row["tdp_w"]),
        idle_w=_number(row["idle_w"]),
        full_load_w=_number(row["full_load_w"]),
        unit=row["unit"],
        fallback=row["fallback"] == "1",
        year=_count(row["year"]),
        source=row["source"],
        confidence=row["confidence"],
        note=row["note"],
        aliases=tuple(alias for alias in row["aliases"].split("|") if alias),
    )


def read_profiles(path: Path) -> Iterable[tuple[int, Profile]]:
    """Profiles of a seed file with their line numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, read_profile(row)


@lru_cache(maxsize=2)
def seed(is_cpu: bool) -> Catalogue:
    """The bundled catalogue of CPUs, or of everything else; each is read when first asked for."""
    files = ("cpus.csv", "generic.csv") if is_cpu else ("accelerators.csv", "generic.csv")
    return Catalogue(profile for name in files for _, profile in read_profiles(DATA / name))


def explain(name: str, kind: str | None = None, memory_gb=None, power_limit_w=None) -> Match | None:
    """The bundled catalogue's match with how it was found, or None."""
    if kind is None:
        return explain(name, "cpu") or explain(name, "gpu", memory_gb, power_limit_w)
    return seed(kind == "cpu").explain(name, kind, memory_gb, power_limit_w)


def match(name: str, kind: str | None = None, memory_gb=None, power_limit_w=None) -> Profile | None:
    """The bundled catalogue's profile for a reported device name, or None."""
    found = explain(name, kind, memory_gb, power_limit_w)
    return found.profile if found else None


def profile_for(name: str, kind: str, memory_gb=None, power_limit_w=None) -> Profile:
    """The bundled profile to estimate with: the match, else the kind's fallback."""
    return seed(kind == "cpu").profile_for(name, kind, memory_gb, power_limit_w)


@lru_cache(maxsize=1)
def constants() -> dict[str, dict[str, str]]:
    """The rows of factors.csv by key: emission factors, PUE, constants and equivalences, each with its source."""
    with (DATA / "factors.csv").open(newline="", encoding="utf-8") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def factor(key: str = ACTIVE_FACTOR_KEY) -> Factor:
    """An emission factor of the seed data, by default the recommended world average; g are turned into kg here."""
    row = constants()[key]
    return Factor(float(row["value"]) / 1000, int(row["year"]), row["source"], row["url"])
