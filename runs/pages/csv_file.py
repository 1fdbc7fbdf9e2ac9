"""CSV downloads: streamed, and safe to open in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator

from django.http import StreamingHttpResponse

#: A spreadsheet takes a text that begins with one of the first seven for a formula, or reads on in the next cell; with
#: the quote among them, taking one leading quote off gives every text back.
NEUTRALISED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


class _Echo:
    """What csv.writer takes for a file: hands each line back."""

    def write(self, line: str) -> str:
        return line


def csv_answer(file_name: str, header: list[str], rows: Iterable[Iterable]) -> StreamingHttpResponse:
    """A download of `rows`, made while it is sent."""
    answer = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return answer


def _lines(header: list[str], rows: Iterable[Iterable]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([neutral(cell) for cell in row])


def neutral(cell):
    """Text that a spreadsheet leaves alone; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(NEUTRALISED) else cell
