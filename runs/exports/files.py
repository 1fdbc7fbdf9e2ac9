"""Streamed downloads: CSV and JSON."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice

from django.http import Http404, StreamingHttpResponse

from traceml_site.csv_lines import csv_lines

#: Some 30 KB of samples.
LINES_AT_ONCE = 400


def csv_answer(file_name: str, header: Iterable[str], rows: Iterable[Iterable]) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(in_blocks(csv_lines(header, rows)), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return answer


def file(rows: Iterable[dict], columns: list[str], form: str, name: str) -> StreamingHttpResponse:
    """Return rows as a download; 404 for an unknown form."""
    if form == "csv":
        return csv_answer(f"{name}.csv", columns, ([row.get(column) for column in columns] for row in rows))
    if form != "json":
        raise Http404
    answer = StreamingHttpResponse(in_blocks(json_lines(rows)), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return answer


def json_lines(rows: Iterable[dict]) -> Iterator[str]:
    """Yield a JSON list with one item per line."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def in_blocks(lines: Iterable[str]) -> Iterator[str]:
    """Join lines: sent one by one, each would be a packet, and the compression of each would be flushed."""
    lines = iter(lines)
    while block := "".join(islice(lines, LINES_AT_ONCE)):
        yield block
