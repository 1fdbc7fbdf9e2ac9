"""CSV downloads, made while they are sent."""

from collections.abc import Iterable

from django.http import StreamingHttpResponse

from runs.exports.csv_lines import csv_lines


def csv_answer(file_name: str, header: Iterable[str], rows: Iterable[Iterable]) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(csv_lines(header, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return answer
