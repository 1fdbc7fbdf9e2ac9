"""The run list as a file: streamed, unrounded, with units in column names."""

from runs.exports.files import file
from runs.models import Run
from runs.run_list import export_rows
from runs.run_list.columns import exported_columns
from runs.run_list.order import OF_DAYS, ordering, sortable
from runs.run_list.view import asked_filters, asked_look
from runs.selection.run_days import with_used
from runs.selection.run_filters import matching
from runs.web.scope import choices_of


def run_export(request, form: str):
    """Stream all runs that match the filters, in the list's order; matching archived runs are included and marked."""
    filters, look, found = asked_filters(request), asked_look(request), choices_of(request)
    filters = filters._replace(archived=filters.archived or "too")
    runs = matching(Run.objects.filter(project__in=found.project_ids), filters, found.members)
    ordered = with_used(runs, filters.days) if OF_DAYS in look.sort else runs
    ordered = sortable(ordered, look.sort, look.metrics).order_by(*ordering(look.sort, look.metrics))
    rows = export_rows.run_rows(list(ordered.values_list("pk", flat=True)), found, filters.days)
    columns = exported_columns(filters.days.are_set)
    if form != "csv":
        return file(rows, columns, form, "runs")
    names = export_rows.metric_names(runs)
    return file(export_rows.in_columns(rows, names), [*columns, *export_rows.metric_columns(names)], form, "runs")
