"""Seed data into profiles: repeatable, all or nothing, and never over what an admin edited."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from hardware.models import CatalogueState, HardwareAlias, HardwareProfile, alias_key
from traceml_agent import catalogue

#: Fields that the seed data holds; aliases are rows of their own.
FIELDS = tuple(field for field in catalogue.Profile._fields if field not in ("slug", "aliases"))


class BrokenFile(Exception):
    """A seed file that can't be taken, with its name and line."""


class Report(NamedTuple):
    """How many profiles a load added, changed, left because an admin edited them, and found as they are."""

    added: int
    changed: int
    left: int
    unchanged: int

    def __str__(self):
        return (
            f"Catalogue: {self.added} added, {self.changed} changed, {self.left} left as an admin edited them, "
            f"{self.unchanged} unchanged."
        )


def load(directory: Path = catalogue.DATA) -> Report:
    """Load the CSV set of a directory. Raises BrokenFile, with nothing loaded, where a row can't be right."""
    seeds = {seed.slug: seed for seed in _checked(directory)}
    with transaction.atomic():
        known = {profile.slug: profile for profile in HardwareProfile.objects.all()}
        fresh = [seed for slug, seed in seeds.items() if slug not in known]
        left = [slug for slug in seeds if slug in known and known[slug].edited]
        stale = [
            known[slug]
            for slug, seed in seeds.items()
            if slug in known and not known[slug].edited and _take(known[slug], seed)
        ]
        HardwareProfile.objects.bulk_create([HardwareProfile(slug=seed.slug, **_values(seed)) for seed in fresh])
        HardwareProfile.objects.bulk_update(stale, [*FIELDS, "revision"], batch_size=200)
        aliases = _load_aliases([seed for seed in seeds.values() if seed.slug not in left])
        if fresh or stale or aliases:
            CatalogueState.grow()
    return Report(len(fresh), len(stale), len(left), len(seeds) - len(fresh) - len(stale) - len(left))


def _values(seed: catalogue.Profile) -> dict:
    return {field: getattr(seed, field) for field in FIELDS}


def _take(profile: HardwareProfile, seed: catalogue.Profile) -> bool:
    """Set the seed's values; whether any differs. Changed power is a new revision."""
    power, changed = profile.power(), False
    for field, value in _values(seed).items():
        changed |= getattr(profile, field) != value
        setattr(profile, field, value)
    profile.revision += profile.power() != power
    return changed


def _load_aliases(seeds: list[catalogue.Profile]) -> int:
    """Add the aliases that are missing; one that an admin gave to another profile stays there."""
    ids = dict(HardwareProfile.objects.values_list("slug", "pk"))
    taken = set(HardwareAlias.objects.values_list("kind", "key"))
    rows = []
    for seed in seeds:
        for name in seed.aliases:
            if (place := (seed.kind, alias_key(name))) not in taken:
                taken.add(place)
                rows.append(HardwareAlias(profile_id=ids[seed.slug], kind=seed.kind, name=name, key=place[1]))
    HardwareAlias.objects.bulk_create(rows, batch_size=2000)
    return len(rows)


def _checked(directory: Path) -> Iterator[catalogue.Profile]:
    """Profiles of all files, each checked like an admin's form; stops at the first that can't be right."""
    seen: dict[str, str] = {}
    for name in catalogue.PROFILE_FILES:
        try:
            for line, seed in catalogue.read_profiles(directory / name):
                place = f"{name}, line {line}"
                if seed.slug in seen:
                    raise BrokenFile(f"{place}: {seed.slug} stands at {seen[seed.slug]} already")
                seen[seed.slug] = place
                _check(place, seed)
                yield seed
        except (OSError, UnicodeDecodeError) as error:
            raise BrokenFile(f"{name}: {error}") from None
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BrokenFile(f"{name}, line {_line_of(seen, name)}: {error!r}") from None


def _line_of(seen: dict[str, str], name: str) -> int:
    """The line after the last one of this file that could be read."""
    read = [int(place.rpartition(" ")[2]) for place in seen.values() if place.startswith(f"{name},")]
    return max(read, default=1) + 1


def _check(place: str, seed: catalogue.Profile) -> None:
    if seed.tdp_w is None or not 0 < seed.tdp_w <= 1e5:
        raise BrokenFile(f"{place}: {seed.slug}: tdp_w must be more than 0 and at most 100,000")
    profile = HardwareProfile(slug=seed.slug, **_values(seed))
    try:
        profile.clean()
        for field in ("slug", "kind", "unit", "idle_w", "full_load_w", "confidence", "memory_gb", "name"):
            value = getattr(profile, field)
            if value not in (None, ""):
                HardwareProfile._meta.get_field(field).clean(value, profile)
    except ValidationError as error:
        raise BrokenFile(f"{place}: {seed.slug}: {' '.join(error.messages)}") from None
