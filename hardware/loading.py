"""Load seed data into profiles: repeatable, all or nothing, never overwriting edits by an admin."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from simple_history.utils import bulk_update_with_history

from hardware.models import CatalogueState, CloudInstance, HardwareAlias, HardwareProfile, alias_key
from traceml_agent import catalogue

#: Fields in the seed data; aliases are separate rows.
FIELDS = tuple(field for field in catalogue.Profile._fields if field not in ("slug", "aliases"))
#: Speeds from data sheets are in a separate file, because the agent does not need them.
PEAKS_FILE = "peaks.csv"
PEAK_FIELDS = ("bf16_tflops", "fp8_tflops", "memory_gb_per_s", "peaks_source")

REASON = "Updated from the seed data."


class BrokenFile(Exception):
    """An invalid seed file, with its name and line."""


class Seed(NamedTuple):
    """A profile from the seed files: its fields and aliases."""

    slug: str
    kind: str
    aliases: tuple[str, ...]
    values: dict


class LoadingReport(NamedTuple):
    """How many profiles a load added, changed, skipped because an admin edited them, and found unchanged."""

    added: int
    changed: int
    left: int
    unchanged: int

    def __str__(self):
        return (
            f"Catalogue: {self.added} added, {self.changed} changed, {self.left} skipped (edited by an admin), "
            f"{self.unchanged} unchanged."
        )


def load(directory: Path = Path(catalogue.DATA)) -> LoadingReport:
    """Load the CSV files of a directory. Raises BrokenFile, with nothing loaded, if a row is invalid."""
    seeds = list(_checked(directory))
    with transaction.atomic():
        known = {profile.slug: profile for profile in HardwareProfile.objects.all()}
        left = {slug for slug, profile in known.items() if profile.edited}
        fresh = [seed for seed in seeds if seed.slug not in known]
        loaded = [seed for seed in seeds if seed.slug not in left]
        stale = [seed.slug for seed in loaded if seed.slug in known and _take(known[seed.slug], seed)]
        HardwareProfile.objects.bulk_create([HardwareProfile(slug=seed.slug, **seed.values) for seed in fresh])
        changes = [known[slug] for slug in stale]
        fields = [*FIELDS, *PEAK_FIELDS, "revision"]
        bulk_update_with_history(changes, HardwareProfile, fields, batch_size=200, default_change_reason=REASON)
        changed = {*stale, *_load_aliases(loaded)} - {seed.slug for seed in fresh}
        if fresh or changed:
            CatalogueState.renew()
            transaction.on_commit(_refresh_statistics)
        _load_instances(directory)
    return LoadingReport(len(fresh), len(changed), len(seeds) - len(loaded), len(loaded) - len(fresh) - len(changed))


def _instances(path: Path) -> Iterator[tuple[int, catalogue.Instance]]:
    try:
        yield from catalogue.read_instances(str(path))
    except ValueError as error:
        raise BrokenFile(f"{path.name}, {error}") from None


def _load_instances(directory: Path) -> None:
    """Update cloud machine types from the seed data, except those that an admin edited."""
    path = directory / catalogue.INSTANCE_FILE
    if not path.exists():
        return
    ids = dict(HardwareProfile.objects.values_list("slug", "pk"))
    left = set(CloudInstance.objects.filter(edited=True).values_list("provider", "name"))
    rows = []
    for line, seed in _instances(path):
        if seed.slug not in ids:
            raise BrokenFile(f"{path.name}, line {line}: there is no profile {seed.slug}")
        if (seed.provider, seed.name) not in left:
            facts = {"count": seed.number, "source": seed.source}
            rows.append(CloudInstance(provider=seed.provider, name=seed.name, profile_id=ids[seed.slug], **facts))
    CloudInstance.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["provider", "name"],
        update_fields=["profile", "count", "source"],
    )


def _refresh_statistics() -> None:
    """Refresh PostgreSQL's statistics: with plans for empty tables, the first queries after a load took seconds."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE hardware_hardwareprofile, hardware_hardwarealias")


def _take(profile: HardwareProfile, seed: Seed) -> bool:
    """Set the seed's values; returns whether any changed. Changed power means a new revision."""
    power, changed = profile.power(), False
    for field, value in seed.values.items():
        changed |= getattr(profile, field) != value
        setattr(profile, field, value)
    profile.revision += profile.power() != power
    return changed


def _load_aliases(seeds: list[Seed]) -> set[str]:
    """Update aliases from the seed data; returns the slugs of profiles that lost or gained one.

    Aliases added by an admin are kept, and so are all aliases of a profile that an admin edited.
    """
    wanted = {(seed.kind, alias_key(name)): (seed.slug, name) for seed in seeds for name in seed.aliases}
    ours = HardwareAlias.objects.filter(source=HardwareAlias.Source.SEED, profile__edited=False)
    outdated = {
        pk: slug
        for pk, slug, kind, key in ours.values_list("pk", "profile__slug", "kind", "key")
        if wanted.get((kind, key), ("",))[0] != slug
    }
    if outdated:
        HardwareAlias.objects.filter(pk__in=outdated).delete()
    taken = set(HardwareAlias.objects.values_list("kind", "key"))
    missing = {place: alias for place, alias in wanted.items() if place not in taken}
    _create_aliases(missing)
    return {*outdated.values(), *(slug for slug, _ in missing.values())}


def _create_aliases(missing: dict[tuple[str, str], tuple[str, str]]) -> None:
    ids = dict(HardwareProfile.objects.values_list("slug", "pk")) if missing else {}
    rows = [
        HardwareAlias(profile_id=ids[slug], kind=kind, name=name, key=key, source=HardwareAlias.Source.SEED)
        for (kind, key), (slug, name) in missing.items()
    ]
    HardwareAlias.objects.bulk_create(rows, batch_size=2000)


def _checked(directory: Path) -> Iterator[Seed]:
    """The profiles of all files, each checked like an admin's form; stops at the first invalid one."""
    peaks = _read_peaks(directory / PEAKS_FILE)
    places: dict[str, str] = {}
    owners: dict[tuple[str, str], str] = {}
    for file, line, seed in _read(directory):
        place = f"{file}, line {line}"
        if seed.slug in places:
            raise BrokenFile(f"{place}: {seed.slug} is already defined at {places[seed.slug]}")
        places[seed.slug] = place
        for name in seed.aliases:
            owner = owners.setdefault((seed.kind, alias_key(name)), seed.slug)
            if owner != seed.slug:
                raise BrokenFile(f"{place}: the alias {name} belongs to {owner} at {places[owner]}")
        values = {field: getattr(seed, field) for field in FIELDS} | peaks.pop(seed.slug, NO_PEAKS)
        found = Seed(seed.slug, seed.kind, seed.aliases, values)
        _check(place, found)
        yield found
    if peaks:
        raise BrokenFile(f"{PEAKS_FILE}: there is no profile {min(peaks)}")


NO_PEAKS = dict.fromkeys(PEAK_FIELDS[:-1]) | {PEAK_FIELDS[-1]: ""}


def _read_peaks(path: Path) -> dict[str, dict]:
    """Peak speeds by slug: TFLOPS, GB/s, and their source document. The file is optional."""
    found: dict[str, dict] = {}
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            for row in reader:
                try:
                    numbers = {field: float(row[field]) if row[field] else None for field in PEAK_FIELDS[:-1]}
                    found[row["slug"]] = numbers | {"peaks_source": row["source"]}
                except (KeyError, TypeError, ValueError) as error:
                    raise BrokenFile(f"{path.name}, line {reader.line_num}: {error!r}") from None
    return found


def _read(directory: Path) -> Iterable[tuple[str, int, catalogue.Profile]]:
    for name in catalogue.PROFILE_FILES:
        try:
            for line, seed in catalogue.read_profiles(str(directory / name)):
                yield name, line, seed
        except (OSError, ValueError) as error:
            raise BrokenFile(f"{name}, {error}") from None


def _check(place: str, seed: Seed) -> None:
    profile = HardwareProfile(slug=seed.slug, **seed.values)
    try:
        profile.full_clean(validate_unique=False, validate_constraints=False)
        for name in seed.aliases:
            HardwareAlias(profile=profile, name=name).clean_fields(exclude=["profile", "kind", "key", "source"])
    except ValidationError as error:
        complaints = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
        raise BrokenFile(f"{place}: {seed.slug}: {complaints}") from None
