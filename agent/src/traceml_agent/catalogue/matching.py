"""Which profile a reported device name belongs to: an index over profiles, and the rules for reading names.

Pure: standard library only. A wrong match is worse than none: if a name fits profiles of different power, nothing
matches, and the device gets the fallback profile of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from traceml_agent.catalogue.candidates import middle_one, narrowed, of_memory, one_power_class
from traceml_agent.catalogue.device_names import (
    FORM,
    FORMS,
    XEON_TIER,
    XEON_TIERS,
    accelerator_key,
    accelerator_keys,
    cpu_key,
    cpu_keys,
    vgpu_gb,
    without_additions,
)
from traceml_agent.catalogue.shelves import NUMBER, Match, Shelf, has, longest_number, plain

MEMORY_SLUG = "memory-per-gb"
FALLBACK_SLUGS = {"cpu": "generic-cpu-thread", "gpu": "generic-gpu", "tpu": "generic-tpu", "npu": "generic-npu"}
FALLBACK_OTHER = "generic-other"


class Catalogue:
    """An index over profiles: anything with a PowerProfile's and these: slug, name, aliases, form_factor, memory_gb.

    Profiles are indexed by the numbers in their names, which no rule below changes. That is fast, since only the few
    profiles that share the longest number of a reported name are compared.
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
        """The profile to estimate with: the match, else the kind's fallback; None if the catalogue has neither."""
        found = self.resolve(name, kind, memory_gb, power_limit_w)
        return found.profile if found else None

    def resolve(self, name: str, kind: str, memory_gb=None, power_limit_w=None) -> Match | None:
        """The profile to estimate with, and how it was chosen; `kind` and `fallback` are not matches of the name."""
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
        if place not in self._by_number:  # not kept, or reported names would fill the memory
            return Shelf([])
        if place not in self._shelves:
            self._shelves[place] = Shelf([named for named in self._named(*place) if has(named[0], number)])
        return self._shelves[place]

    def _named(self, is_cpu: bool, number: str = "") -> Iterator[tuple[str, Any]]:
        for profile in self._by_number.get((is_cpu, number), ()):
            for name in (profile.name, *profile.aliases):
                yield name, profile

    def _cpu(self, name: str) -> Match | None:
        if is_cut(name):
            return self._cut_cpu(name)
        for key in cpu_keys(name):
            found = self._of_cpu_key(key)
            if found:
                return Match(found, "normalised name")
        for key in cpu_keys(name):
            found = self._of_cpu_key(self._without_additions(key))
            if found:
                return Match(found, "normalised name")
        return None

    def _without_additions(self, key: str) -> str:
        if len(longest_number(key)) < _TELLING_DIGITS:
            return ""
        shelf = self._shelf(True, key)
        return "" if key in shelf.cpus else without_additions(key, shelf.cpu_models)

    def _of_cpu_key(self, key: str):
        cpus = self._shelf(True, key).cpus if key else {}
        found = one_power_class(cpus.get(key, []))
        if found is None and key.startswith("xeon"):  # people omit Xeon's tier, or add one
            bare = XEON_TIER.sub("", key)
            options = [cpus.get(bare.replace("xeon ", f"xeon {tier}", 1), []) for tier in XEON_TIERS]
            found = one_power_class([profile for option in options for profile in option])
        if found is None and key and key not in cpus:  # "Platinum 8568Y" is a 8568Y+: there is no other
            found = one_power_class(cpus.get(f"{key} plus", []))
        return found

    def _cut_cpu(self, name: str) -> Match | None:
        """The match of a name that was cut off, `AMD EPYC 7763 64-Co...`. Its last word may be incomplete."""
        stem = _CUT_CORES.sub("", name.rstrip(".… ")).strip()
        key = cpu_key(stem)
        cpus = self._shelf(True, key).cpus if key else {}
        going_on = [profiles for each, profiles in cpus.items() if each.startswith(key)]
        found = one_power_class([profile for profiles in going_on for profile in profiles])
        if found is None:
            shorter = key.rpartition(" ")[0]
            found = one_power_class(cpus.get(shorter, [])) if NUMBER.search(shorter) else None
        return Match(found, "family") if found else None

    def _accelerator(self, name: str, memory_gb, power_limit_w) -> Match | None:
        if is_cut(name):
            return _of_family(narrowed(self._starting_with(name), memory_gb, power_limit_w))
        for key, stated_gb in accelerator_keys(name):
            found, is_known = self._of_accelerator_key(key, stated_gb, memory_gb, power_limit_w)
            if found or is_known:
                return found
        for key, stated_gb in accelerator_keys(name):
            bare = without_additions(key, self._shelf(False, key).accelerator_models) if NUMBER.search(key) else ""
            if bare:
                return self._of_accelerator_key(bare, stated_gb, memory_gb, power_limit_w)[0]
        return None

    def _of_accelerator_key(self, key: str, stated_gb, memory_gb, power_limit_w) -> tuple[Match | None, bool]:
        """The match of a key, and whether the catalogue has the key, so that it can mean nothing else."""
        options = self._of_key(key, stated_gb, memory_gb)
        if options:
            found = one_power_class(narrowed(options, memory_gb, power_limit_w))
            return (Match(found, "normalised name") if found else None), True
        forms = self._any_form(key, stated_gb, memory_gb) if NUMBER.search(key) else []
        return _of_family(narrowed(forms, memory_gb, power_limit_w)), False

    def _vgpu(self, name: str, power_limit_w) -> Match | None:
        """The card that a vGPU is part of, if its GB are known, since the driver reports those of the part."""
        exact = self._shelf(False, name).names.get(plain(name))
        found = exact or self._accelerator(name, None, power_limit_w)
        return found if found and found.profile.memory_gb else None

    def _of_key(self, key: str, stated_gb: float | None, memory_gb: float | None) -> list:
        """Profiles with this key that fit the GB in the name; if it has none, those without GB in their name."""
        by_memory = self._shelf(False, key).accelerators.get(key, {}) if key else {}
        if stated_gb in by_memory and not (stated_gb is None and memory_gb):
            return by_memory[stated_gb]
        profiles = list(dict.fromkeys(profile for option in by_memory.values() for profile in option))
        return profiles if stated_gb is None else of_memory(profiles, stated_gb)

    def _starting_with(self, name: str) -> list:
        """Profiles whose name may continue one that nvidia-smi cut off ("RTX 6000 Ada Gene...")."""
        stem = plain(name.rstrip(".… "))
        shown = len(stem) + len("...")  # a name that fits into this is never cut
        going_on = (p for each, p in self._plain_accelerators if len(each) > shown and each.startswith(stem))
        return list(dict.fromkeys(going_on))

    @cached_property
    def _plain_accelerators(self) -> list[tuple[str, Any]]:
        return [(plain(name), profile) for name, profile in self._named(False)]

    def variants(self, name: str) -> list:
        """Accelerators that fit a name as people write it: `H100` has neither form factor nor memory."""
        return self._any_form(*accelerator_key(name), memory_gb=ANY_GB)

    def _any_form(self, key: str, stated_gb: float | None, memory_gb: float | None) -> list:
        """Profiles for a name without a form factor, or with a coarser one: `v100`, `a100 sxm`."""
        bare = " ".join(FORM.sub(" ", key).split())
        wanted = next((form for form in ("sxm", "pcie") if form in key), "")
        keys = [f"{bare} {form}".strip() for form in FORMS]
        found = [profile for each in keys for profile in self._of_key(each, stated_gb, memory_gb)]
        return [profile for profile in dict.fromkeys(found) if profile.form_factor.lower().startswith(wanted)]


#: Stands for any amount of memory.
ANY_GB = 1.0
#: Fewer digits name a series that too many models share.
_TELLING_DIGITS = 3
#: What may be left of `64-Core` in a name that was cut off.
_CUT_CORES = re.compile(r"\s+\d{1,3}(?:-(?:c(?:o(?:re?)?)?)?)?$", re.IGNORECASE)


def is_cut(name: str) -> bool:
    return name.rstrip().endswith(("...", "…"))


def _of_family(profiles: list) -> Match | None:
    found = middle_one(profiles)
    return Match(found, "family") if found else None
