"""Streamed downloads: CSV and JSON."""

import json
from collections.abc import Iterable, Iterator

from django.http import Http404, StreamingHttpResponse

from traceml_site.csv_lines import csv_lines


def csv_answer(file_name: str, header: Iterable[str], rows: Iterable[Iterable]) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(csv_lines(header, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return answer


def file(rows: Iterable[dict], columns: list[str], form: str, name: str) -> StreamingHttpResponse:
    """Return rows as a download; 404 for an unknown form."""
    if form == "csv":
        return csv_answer(f"{name}.csv", columns, ([row.get(column) for column in columns] for row in rows))
    if form != "json":
        raise Http404
    answer = StreamingHttpResponse(json_lines(rows), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return answer


def json_lines(rows: Iterable[dict]) -> Iterator[str]:
    """Yield a JSON list with one item per line."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"
