"""`traceml-agent update-catalogue`: fetch the catalogue that the portal's admins maintain, for estimates here."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

from traceml_agent.catalogue.profiles import DATA, FACTOR_FILE, GENERIC_FILE, Profile, read_profiles
from traceml_agent.commands import terminal
from traceml_agent.commands.terminal import Bar, Complaint
from traceml_agent.figures import counted
from traceml_agent.inputs import config

TEXT = "Fetch the portal's hardware catalogue and emission factor for estimates on this machine."
EXAMPLE = "traceml-agent update-catalogue"
STATUSES = "0 the copy is up to date; 1 the portal can't be reached or sent no catalogue, so the old copy stays"
ETAG_FILE = "etag"
PAGE_SIZE = 200


def add_command(commands) -> None:
    """Add `update-catalogue` to the command line's parsers."""
    terminal.add(commands, "update-catalogue", command, TEXT, EXAMPLE, STATUSES)


def command(options) -> int:
    """Fetch the catalogue, unless this machine has it already."""
    from traceml_agent.delivery import client

    settings = config.load()
    if not (settings.url and settings.token):
        raise Complaint("no portal is configured: run `traceml-agent login`")
    folder = config.catalogue_folder()
    portal = client.Client(settings)
    with Bar() as bar:
        count = update(portal, folder, bar)
    print(f"{folder} is up to date." if count is None else f"{counted(count, 'profile')} saved in {folder}.")
    return 0


def update(portal, folder: str, bar: Bar) -> int | None:
    """Replace the copy in a folder. Returns its number of profiles, or None if it was up to date.

    Raises client.Refused, Complaint or OSError, and then leaves the old copy unchanged.
    """
    rows, etag = _rows(portal, _kept_etag(folder), bar)
    if rows is None:
        return None
    factor, _ = portal.get("factor")
    draft = f"{folder}.{os.getpid()}"
    os.makedirs(draft, mode=0o700)
    try:
        _write(draft, rows, factor or {}, etag)
        _replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return len(rows)


def _kept_etag(folder: str) -> str:
    try:
        with open(os.path.join(folder, ETAG_FILE), encoding="utf-8") as file:
            return file.read(200)
    except OSError:
        return ""


def _rows(portal, etag: str, bar: Bar) -> tuple[list[dict] | None, str]:
    """All profiles, page by page, and the ETag of the first page; no rows if that ETag is the same."""
    page, new_etag = portal.get(f"hardware?page_size={PAGE_SIZE}", etag)
    if page is None:
        return None, etag
    rows: list[dict] = []
    while True:
        rows += page.get("results") or []
        bar.show(len(rows), len(rows) + 1, f"{len(rows)} profiles")
        following = urlsplit(page.get("next") or "").query
        if not following:
            return rows, new_etag
        page, _ = portal.get(f"hardware?{following}")
        if page is None:
            raise Complaint("the portal sent only a part of the catalogue; try again")


def _write(folder: str, rows: list[dict], factor: dict, etag: str) -> None:
    """Write the CSV files and read them again. Raises Complaint if they can't be read."""
    try:
        for name, part in _by_file(rows):
            path = os.path.join(folder, name)
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(Profile._fields)
                writer.writerows(map(_cells, part))
            for _ in read_profiles(path):
                pass
        _write_factor(os.path.join(folder, FACTOR_FILE), factor)
    except (KeyError, TypeError, ValueError) as error:
        raise Complaint(f"the portal did not send a catalogue ({error})") from None
    with open(os.path.join(folder, ETAG_FILE), "w", encoding="utf-8") as file:
        file.write(etag)


def _by_file(rows: list[dict]) -> Iterator[tuple[str, list[dict]]]:
    generic = [row for row in rows if row["fallback"] or row["kind"] == "ram"]
    known = [row for row in rows if not (row["fallback"] or row["kind"] == "ram")]
    if not generic or not known:
        raise ValueError("it is empty")
    yield GENERIC_FILE, generic
    yield "cpus.csv", [row for row in known if row["kind"] == "cpu"]
    yield "accelerators.csv", [row for row in known if row["kind"] != "cpu"]


def _cells(row: dict) -> list:
    cells = {name: row[name] for name in Profile._fields}
    cells["fallback"] = int(bool(row["fallback"]))
    cells["aliases"] = "|".join(row["aliases"])
    return ["" if cell is None else cell for cell in cells.values()]


def _write_factor(path: str, factor: dict) -> None:
    """Write the bundled constants, with the portal's emission factor instead of the recommended one."""
    from traceml_agent.catalogue import ACTIVE_FACTOR_KEY

    with open(os.path.join(DATA, FACTOR_FILE), newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, fields = list(reader), reader.fieldnames or []
    mine = {"value": 1000 * float(factor["kg_per_kwh"]), "year": int(factor["year"]), "source": factor["source"]}
    for row in rows:
        if row["key"] == ACTIVE_FACTOR_KEY:
            row.update(mine | {"url": factor["url"]})
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)


def _replace(draft: str, folder: str) -> None:
    """Replace the old copy by the new one."""
    old = f"{folder}.old.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.rename(folder, old)
    os.rename(draft, folder)
    shutil.rmtree(old, ignore_errors=True)
