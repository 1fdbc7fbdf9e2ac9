"""Profiles of the seed data: the CSV files that the agent contains and the portal loads.

Pure: standard library only.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from math import isfinite
from typing import NamedTuple, TextIO

#: Not a `Path`: importing pathlib would add five milliseconds to a start.
DATA = os.path.join(os.path.dirname(__file__), "data")
_folder = DATA
GENERIC_FILE = "generic.csv"
PROFILE_FILES = ("accelerators.csv", "cpus.csv", GENERIC_FILE)
FACTOR_FILE, INSTANCE_FILE = "factors.csv", "instances.csv"
FILES = (*PROFILE_FILES, FACTOR_FILE)
#: Clouds rent parts of a card too.
_PART = re.compile(r"\d{1,4}(?:\.\d{1,4})?")
_DIGITS = re.compile(rb"\d")


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
    peak_tflops: float | None
    unit: str
    fallback: bool
    year: int | None
    source: str
    confidence: str
    note: str
    aliases: tuple[str, ...]


def _number(text: str) -> float | None:
    if text and not isfinite(float(text)):
        raise ValueError(f"{text} is not a finite number")
    return float(text) if text else None


def _count(text: str) -> int | None:
    return int(text) if text else None


def read_profile(row: list[str]) -> Profile:
    """A profile from a row of the seed data. Raises ValueError for a row of the wrong length or an invalid number."""
    if len(row) != len(Profile._fields):
        raise ValueError(f"{len(row)} cells instead of {len(Profile._fields)}")
    slug, vendor, name, kind, family, form_factor = row[:6]
    memory_gb, tdp_w, idle_w, full_load_w, peak_tflops = map(_number, (row[6], *row[9:13]))
    cores, threads, year = map(_count, (row[7], row[8], row[15]))
    unit, is_fallback, source, confidence, note = row[13], row[14] == "1", *row[16:19]
    aliases = tuple(row[19].split("|")) if row[19] else ()
    device = (slug, vendor, name, kind, family, form_factor, memory_gb, cores, threads)
    power = (tdp_w, idle_w, full_load_w, peak_tflops, unit, is_fallback)
    return Profile(*device, *power, year, source, confidence, note, aliases)


def opened(path: str) -> TextIO:
    """A CSV file as text; also if the package is in a zip file. Raises OSError."""
    return io.TextIOWrapper(io.BytesIO(_bytes(path)), encoding="utf-8", newline="")


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        loader = globals()["__loader__"]
        if not hasattr(loader, "archive"):
            raise
        return loader.get_data(path)


def read_profiles(path: str) -> Iterator[tuple[int, Profile]]:
    """Profiles of a seed file with their line numbers. Raises ValueError, with the line, for an invalid file."""
    with opened(path) as file:
        reader = csv.reader(file)
        try:
            if tuple(next(reader, ())) != Profile._fields:
                raise ValueError(f"the columns must be {', '.join(Profile._fields)}")
            for row in reader:
                yield reader.line_num, read_profile(row)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None


class Instance(NamedTuple):
    """A cloud's machine type: a number of devices of a profile, or a part of one."""

    provider: str
    name: str
    slug: str
    number: float
    source: str


def read_instances(path: str) -> Iterator[tuple[int, Instance]]:
    """Machine types of a seed file with their line numbers. Raises ValueError, with the line, for an invalid row."""
    with opened(path) as file:
        reader = csv.reader(file)
        next(reader, None)
        for row in reader:
            if len(row) != len(Instance._fields) or not _PART.fullmatch(row[3]):
                raise ValueError(f"line {reader.line_num}: a row is {', '.join(Instance._fields)}")
            yield reader.line_num, Instance(row[0], row[1], row[2], float(row[3]), row[4])


def lines_with(needles: set[str], text: bytes) -> list[str]:
    """The lines that contain a needle. A needle without digits must be a whole name, between separators."""
    lowered, found = text.lower(), {}
    for needle in (each.encode() for each in needles):
        alone = not _DIGITS.search(needle)
        at = lowered.find(needle)
        while at >= 0:
            start, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
            if not alone or _stands_alone(lowered, at, len(needle)):
                found[start] = text[start:end].decode()
            at = lowered.find(needle, end if start in found else at + 1)
    return list(found.values())


def _stands_alone(text: bytes, at: int, length: int) -> bool:
    return text[at - 1] in b',|"' and text[at + length] in b',|"\r\n'


def use(folder: str) -> bool:
    """Read this folder's CSV files instead of the bundled ones, if it has all of them. Returns whether that is a
    change."""
    global _folder
    wanted = folder if all(os.path.isfile(os.path.join(folder, name)) for name in FILES) else DATA
    changed, _folder = wanted != _folder, wanted
    if changed:
        generic_lines.cache_clear()
    return changed


def place(file: str) -> str:
    """The path of a CSV file in use."""
    return os.path.join(_folder, file)


def read(file: str) -> bytes:
    """A CSV file in use. Raises OSError."""
    return _bytes(place(file))


@lru_cache(maxsize=1)
def generic_lines() -> list[str]:
    """The rows of the fallbacks and of memory."""
    return read(GENERIC_FILE).decode().splitlines()[1:]
