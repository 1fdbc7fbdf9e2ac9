"""CSV as it leaves the portal: lines one by one, exact numbers, and nothing that a spreadsheet takes for a formula."""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain

#: A spreadsheet takes a text that begins with one of the first seven for a formula, or reads on in the next cell; with
#: the quote among them, taking one leading quote off gives every text back.
NEUTRALISED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


class _Echo:
    """What csv.writer takes for a file: hands each line back."""

    def write(self, line: str) -> str:
        return line


def csv_lines(header: Iterable[str], rows: Iterable[Iterable]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    for row in chain([header], rows):
        yield writer.writerow(map(cell, row))


def cell(value):
    """A value as a cell: numbers with all their digits, lists and objects as JSON, text as a spreadsheet leaves it."""
    if isinstance(value, (list, dict)):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(NEUTRALISED) else value
