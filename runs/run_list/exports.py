"""Files of what a page shows: streamed, exact, with units in the names of columns."""

import json
from collections.abc import Iterable, Iterator

from django.http import Http404, StreamingHttpResponse

from runs.exports.csv_file import csv_answer
from runs.models import Run
from runs.run_list import export_rows as dashboard
from runs.run_list.order import OF_DAYS, ordering, sortable
from runs.run_list.view import asked_filters, asked_look, run_or_404
from runs.selection.run_days import with_used
from runs.selection.run_filters import matching
from runs.web.scope import choices_of


def run_export(request, form: str):
    """The whole filtered set of the run list, in its order, and the archived runs that match, which it marks."""
    filters, look, found = asked_filters(request), asked_look(request), choices_of(request)
    filters = filters._replace(archived=filters.archived or "too")
    runs = matching(Run.objects.filter(project__in=found.project_ids), filters, found.members)
    ordered = with_used(runs, filters.days) if OF_DAYS in look.sort else runs
    ordered = sortable(ordered, look.sort, look.metrics).order_by(*ordering(look.sort, look.metrics))
    rows = dashboard.run_rows(list(ordered.values_list("pk", flat=True)), found, filters.days)
    columns = dashboard.RUN_COLUMNS + (dashboard.DAYS_COLUMNS if filters.days.are_set else [])
    if form != "csv":
        return file(rows, columns, form, "runs")
    names = dashboard.metric_names(runs)
    return file(dashboard.in_columns(rows, names), [*columns, *dashboard.metric_columns(names)], form, "runs")


def series_export(request, run_id, form: str):
    """Every stored sample of a run."""
    run = run_or_404(request, run_id)
    return file(dashboard.sample_rows(run), dashboard.SAMPLE_COLUMNS, form, f"run-{run.run_id}")


def metrics_export(request, run_id, form: str):
    """Every value that a run logged."""
    run = run_or_404(request, run_id)
    return file(dashboard.logged_rows(run), dashboard.LOGGED_COLUMNS, form, f"metrics-{run.run_id}")


def file(rows: Iterable[dict], columns: list[str], form: str, name: str) -> StreamingHttpResponse:
    """Rows as a file to keep; 404 for a form that there is none of."""
    if form == "csv":
        return csv_answer(f"{name}.csv", columns, ([row.get(column) for column in columns] for row in rows))
    if form != "json":
        raise Http404
    answer = StreamingHttpResponse(json_lines(rows), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return answer


def json_lines(rows: Iterable[dict]) -> Iterator[str]:
    """A JSON list, an item a line."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"
