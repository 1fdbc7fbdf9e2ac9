"""Files of what a page shows: streamed, exact, with units in the names of columns."""

import csv
import json
from collections.abc import Iterable, Iterator

from django.http import Http404, StreamingHttpResponse

from runs.dashboards import exports as dashboard
from runs.dashboards.run_filters import matching
from runs.dashboards.run_order import ordering
from runs.dashboards.tables import plain_cell
from runs.models import Run
from runs.pages import query
from runs.pages.runs import asked_filters, run_or_404

TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def run_export(request, form: str):
    """The whole filtered set of the run list, in its order."""
    found = matching(Run.objects.for_user(request.user), asked_filters(request))
    pks = list(found.order_by(*ordering(query.asked(request, "sort"))).values_list("pk", flat=True))
    return file(dashboard.run_rows(pks), dashboard.RUN_COLUMNS, form, "runs")


def series_export(request, run_id, form: str):
    """Every stored sample of a run."""
    run = run_or_404(request, run_id)
    return file(dashboard.sample_rows(run), dashboard.SAMPLE_COLUMNS, form, f"run-{run.run_id}")


def file(rows: Iterable[dict], columns: Iterable[str], form: str, name: str) -> StreamingHttpResponse:
    """Rows as a file to keep; 404 for a form that there is none of."""
    if form not in TYPES:
        raise Http404
    lines = csv_lines(rows, list(columns)) if form == "csv" else json_lines(rows)
    answer = StreamingHttpResponse(lines, content_type=TYPES[form])
    answer["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return answer


class _Echo:
    """A file for csv.writer whose write gives the line back."""

    def write(self, line: str) -> str:
        return line


def csv_lines(rows: Iterable[dict], columns: list[str]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([cell(row[column]) for column in columns])


def cell(value):
    """A value as a cell: numbers with all their digits, lists and objects as JSON, text never as a formula."""
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        return plain_cell(value)
    return repr(value)


def json_lines(rows: Iterable[dict]) -> Iterator[str]:
    """A JSON list, an item a line."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"
