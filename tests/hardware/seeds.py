"""Small seed files for tests: the CSV set of a directory, as the agent's data folder holds it."""

import csv
from pathlib import Path

from traceml_agent.catalogue import PROFILE_FILES, Profile

CARD = {
    "slug": "acme-one",
    "vendor": "Acme",
    "name": "Acme One",
    "kind": "gpu",
    "tdp_w": "200",
    "unit": "device",
    "fallback": "0",
    "confidence": "datasheet",
    "aliases": "ACME-1|Acme One PCIe",
}


def card(**changes) -> dict:
    return CARD | changes


def write(directory: Path, *rows: dict, peaks: list[str] | None = None) -> Path:
    """A CSV set whose accelerators are these rows, and whose other files are empty but for the header."""
    for name in PROFILE_FILES:
        with (directory / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, Profile._fields, restval="")
            writer.writeheader()
            writer.writerows(rows if name == "accelerators.csv" else ())
    if peaks is not None:
        lines = ["slug,bf16_tflops,fp8_tflops,memory_gb_per_s,source", *peaks]
        (directory / "peaks.csv").write_text("\n".join(lines))
    return directory
