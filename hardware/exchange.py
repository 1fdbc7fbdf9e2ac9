"""Export and import of profiles as CSV; an import takes the whole file or nothing.

A file is read and checked without a lock. The number of changes is limited, because others wait during the write.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.forms import modelform_factory

from hardware.models import HardwareAlias, HardwareProfile, alias_key
from traceml_agent import limits
from traceml_site.csv_lines import csv_lines, plain

MAX_ROWS = 10_000
#: The most profiles and aliases that one import may change: about one second of holding the database's lock.
MAX_CHANGES = 300
MOST_ERRORS = 20
COLUMNS = [
    field.name
    for field in HardwareProfile._meta.concrete_fields
    if field.name not in ("id", "edited", "revision", "created_at", "updated_at")
]
HEADER = [*COLUMNS, "aliases"]
#: Required columns of a new profile.
NEEDED = ("name", "kind", "tdp_w")
DELIMITERS = (",", ";", "\t")
YES_OR_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}

Texts = dict[str, str]


class Checked(NamedTuple):
    """A valid row: its values by column, and the aliases to add and remove."""

    slug: str
    is_new: bool
    values: dict
    added: list[str]
    removed: set[str]


class Taken(NamedTuple):
    """An imported profile with its changes in words: `tdp_w 200.0 → 180.0`."""

    profile: HardwareProfile
    is_new: bool
    words: str


def export(profiles: Iterable[HardwareProfile]) -> str:
    """The profiles as CSV; aliases are in one column, separated by `|`."""
    rows = map(_texts, profiles)
    return "".join(csv_lines(HEADER, (map(texts.get, HEADER) for texts in rows)))


def read(data: bytes) -> list[Texts]:
    """The rows of a file as text by column. Raises ValidationError with a message for the person who uploaded it."""
    try:
        lines = list(csv.reader(io.StringIO(_decoded(data), newline=""), delimiter=_delimiter(data), strict=True))
    except csv.Error as error:
        raise ValidationError(f"The file is not CSV: {error}.") from None
    header, *rows = [[cell.strip() for cell in line] for line in lines if any(line)] or [[]]
    _check_header(header)
    if not rows:
        raise ValidationError("The file has no rows below its header.")
    if len(rows) > MAX_ROWS:
        raise ValidationError(f"The file has {len(rows):,} rows. The limit is {MAX_ROWS:,}. Split the file.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValidationError(f"Row {number} has {len(row)} columns, but the header has {len(header)}.")
    return [dict(zip(header, map(plain, row), strict=True)) for row in rows]


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValidationError("The file is not UTF-8. Save it as “CSV UTF-8”.") from None
    if not limits.is_clean(text.translate({ord(sign): None for sign in "\r\n\t"})):
        raise ValidationError("The file contains control characters or direction overrides. Save it as plain text.")
    return text


def _delimiter(data: bytes) -> str:
    """The delimiter of the header: spreadsheets in many countries write semicolons. No column name contains one."""
    first = data.partition(b"\n")[0].decode(errors="replace")
    return max(DELIMITERS, key=first.count)


def _check_header(header: list[str]) -> None:
    known = f"Known columns: {', '.join(HEADER)}."
    if unknown := [name for name in header if name not in HEADER]:
        raise ValidationError(f"Unknown column: {unknown[0][:80] or 'one without a name'}. {known}")
    if "slug" not in header:
        raise ValidationError(f"The column slug is missing. {known}")
    if twice := [name for name in header if header.count(name) > 1]:
        raise ValidationError(f"Duplicate column: {twice[0]}.")


def changing(rows: list[Texts]) -> list[Texts]:
    """The rows that would change something, with only the columns that do.

    Raises ValidationError if there are too many changes for one import.
    """
    slugs = Counter(row["slug"] for row in rows)
    if twice := [slug for slug, count in slugs.items() if count > 1]:
        raise ValidationError(f"Duplicate slug: {twice[0][:80]}.")
    known = _known(list(slugs))
    found, count = [], 0
    for row in rows:
        texts = _texts(known[row["slug"]]) if row["slug"] in known else {}
        changed = {column: text for column, text in row.items() if not _same(column, text, texts.get(column))}
        if changed:
            found.append({"slug": row["slug"]} | changed)
            names = (changed.get("aliases", ""), texts.get("aliases", "") if "aliases" in changed else "")
            count += 1 + len(_aliases(names[0]).keys() ^ _aliases(names[1]).keys())
    if count > MAX_CHANGES:
        raise ValidationError(f"The file changes more than {MAX_CHANGES} profiles and aliases. Split the file.")
    return found


def _known(slugs: list[str]) -> dict[str, HardwareProfile]:
    return HardwareProfile.objects.prefetch_related("aliases").in_bulk(slugs, field_name="slug")


def _texts(profile: HardwareProfile) -> Texts:
    """A profile as the text of a row."""
    texts = {column: _text(getattr(profile, column)) for column in COLUMNS}
    return texts | {"aliases": "|".join(sorted(alias.name for alias in profile.aliases.all()))}


def _text(value) -> str:
    return str(int(value)) if isinstance(value, bool) else "" if value is None else str(value)


def _aliases(text: str) -> dict[str, str]:
    """The names in the column `aliases`, by alias key."""
    return {alias_key(name): name.strip() for name in text.split("|") if name.strip()}


def _same(column: str, text: str, stored: str | None) -> bool:
    if stored is None or text == stored:
        return text == stored
    if column == "aliases":
        return _aliases(text).keys() == _aliases(stored).keys()
    if column == "fallback":
        return YES_OR_NO.get(text.lower()) is YES_OR_NO[stored]
    try:
        return float(text) == float(stored)
    except ValueError:
        return False


def check(rows: list[Texts], user) -> list[Checked]:
    """The checked rows. Raises ValidationError with one message per error, also for missing permissions."""
    known, errors, found = _known([row["slug"] for row in rows]), [], []
    for row in rows:
        profile = known.get(row["slug"])
        try:
            found.append(_checked(row, profile or HardwareProfile(slug=row["slug"]), user))
        except ValidationError as error:
            errors += [f"{row['slug'][:80] or 'Row without a slug'}: {words}" for words in error.messages]
        if len(errors) >= MOST_ERRORS:
            break
    if errors:
        raise ValidationError(errors[:MOST_ERRORS])
    return found


def _checked(row: Texts, profile: HardwareProfile, user) -> Checked:
    is_new = profile.pk is None
    HardwareProfile._meta.get_field("slug").clean(row["slug"], None)
    if is_new and not user.has_perm("hardware.add_hardwareprofile"):
        raise ValidationError("This profile does not exist, and you don't have permission to add profiles.")
    if missing := [column for column in NEEDED if is_new and not row.get(column)]:
        raise ValidationError(f"A new profile needs {', '.join(missing)}.")
    given = {column: text for column, text in row.items() if column not in ("slug", "aliases")}
    if "fallback" in given:
        if given["fallback"].lower() not in YES_OR_NO:
            raise ValidationError("fallback: must be 1 or 0.")
        given["fallback"] = str(YES_OR_NO[given["fallback"].lower()])
    form = _form(tuple(given))(given, instance=profile)
    if not form.is_valid():
        raise ValidationError([f"{field}: {words}" for field, lines in form.errors.items() for words in lines])
    return Checked(row["slug"], is_new, form.cleaned_data, *_alias_changes(row, profile, user))


@cache
def _form(columns: tuple[str, ...]):
    return modelform_factory(HardwareProfile, fields=columns)


def _alias_changes(row: Texts, profile: HardwareProfile, user) -> tuple[list[str], set[str]]:
    """Names to add and keys to remove; empty if the file has no column `aliases`."""
    if "aliases" not in row:
        return [], set()
    wanted, known = _aliases(row["aliases"]), {alias.key for alias in profile.aliases.all()} if profile.pk else set()
    added, removed = [wanted[key] for key in wanted.keys() - known], known - wanted.keys()
    for names, right in ((added, "add"), (removed, "delete")):
        if names and not user.has_perm(f"hardware.{right}_hardwarealias"):
            raise ValidationError(
                f"You don't have permission to {right} aliases. Remove the column aliases from the file."
            )
    return sorted(added), removed


def write(rows: list[Checked], reason: str) -> list[Taken]:
    """Save the rows; call it in a transaction. Raises ValidationError if the catalogue changed in the meantime."""
    profiles = HardwareProfile.objects.select_for_update().in_bulk([row.slug for row in rows], field_name="slug")
    try:
        return _written(rows, profiles, reason)
    except IntegrityError:
        raise ValidationError("The catalogue changed in the meantime. Upload the file again.") from None


def _written(rows: list[Checked], profiles: dict[str, HardwareProfile], reason: str) -> list[Taken]:
    taken = []
    for row in rows:
        profile = profiles.get(row.slug) or HardwareProfile(slug=row.slug)
        words = _words(profile, row)
        for column, value in row.values.items():
            setattr(profile, column, value)
        profile.edited = True  # so that reloading the seed data skips it
        profile._change_reason = reason  # type: ignore[attr-defined]  # django-simple-history reads it
        profile.save()
        taken.append(Taken(profile, row.is_new, words))
    # Remove all before adding any: an alias may move from one profile of the file to another.
    for row, (profile, *_) in zip(rows, taken, strict=True):
        if row.removed:
            profile.aliases.filter(key__in=row.removed).delete()
    for row, (profile, *_) in zip(rows, taken, strict=True):
        for name in row.added:
            alias = HardwareAlias(profile=profile, name=name)
            _clean(alias)
            alias.save()
    return taken


def _words(profile: HardwareProfile, row: Checked) -> str:
    before = {column: getattr(profile, column) for column in row.values}
    changed = [
        f"{column} {_text(before[column]) or 'empty'} → {_text(value) or 'empty'}"
        for column, value in row.values.items()
        if value != before[column]
    ]
    added, removed = (f"{len(names)} alias{'es' * (len(names) > 1)}" for names in (row.added, row.removed))
    changed += [f"{added} added"] * bool(row.added) + [f"{removed} removed"] * bool(row.removed)
    return ", ".join(changed)


def _clean(alias: HardwareAlias) -> None:
    try:
        alias.full_clean(exclude=["kind", "key"])
    except ValidationError as error:
        raise ValidationError([f"{alias.profile.slug}: {words}" for words in error.messages]) from None
