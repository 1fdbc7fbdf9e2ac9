"""CSV lines with unrounded numbers, and with text that spreadsheets would run as a formula neutralised."""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain

#: Spreadsheets read text that starts with one of the first seven as a formula, or continue in the next cell. The quote
#: is included so that removing one leading quote restores every text.
NEUTRALISED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


class _Echo:
    """A file-like object for csv.writer that returns each line."""

    def write(self, line: str) -> str:
        return line


def csv_lines(header: Iterable[str], rows: Iterable[Iterable]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    for row in chain([header], rows):
        yield writer.writerow(map(cell, row))


def cell(value):
    """A value as a cell: unrounded numbers, lists and objects as JSON, neutralised text."""
    if isinstance(value, (list, dict)):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(NEUTRALISED) else value


def plain(cell: str) -> str:
    """The text that `cell` neutralised, from a file that comes back."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(NEUTRALISED) else cell
