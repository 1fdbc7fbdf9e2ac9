"""The table under a chart, made in one go: through the template language a few thousand cells would take seconds."""

from django import template
from django.utils.html import escape, json_script
from django.utils.safestring import mark_safe

from runs.figures.units import Unit
from runs.templatetags.units import cell_html

register = template.Library()


@register.simple_tag
def chart_rows(chart):
    """A row a label: the values of all series, and what goes in step with them. Only labels are text of people."""
    unit, twins, twin_unit = chart.unit, chart.twin_values, chart.twin_unit
    rows, axis_unit = [], chart.axis_unit
    for number, (label, values) in enumerate(chart.rows):
        cells = "".join([_cell(value, unit) for value in values])
        if chart.twin:
            cells += _cell(twins[number], twin_unit)
        rows.append(f'<tr><th scope="row">{_head(label, axis_unit)}</th>{cells}</tr>\n')
    return mark_safe("".join(rows))  # noqa: S308


@register.simple_tag
def points_data(chart, runs):
    """The data of a chart of points, which refer to `runs`."""
    return json_script(chart.data(runs), chart.data_id)


@register.simple_tag
def linked_rows(chart, runs_url: str):
    """A row a bar, which leads to the runs of its days, with what the line over the bars says."""
    url, unit, line_unit, rows = escape(runs_url), chart.unit, chart.line_unit, []
    sums = chart.line.values if chart.line else []
    for number, ((label, values), (since, until)) in enumerate(zip(chart.rows, chart.spans, strict=True)):
        figures = [cell_html(value, unit) for value in values]
        if sums:
            figures.append(cell_html(sums[number], line_unit))
        cells = "".join([f'<td class="number">{figure}</td>' for figure in figures])
        head = f'<a href="{url}since={since}&amp;until={until}">{escape(label)}</a>'
        rows.append(f'<tr><th scope="row">{head}</th>{cells}</tr>\n')
    return mark_safe("".join(rows))  # noqa: S308


def _head(label, unit: Unit | None) -> str:
    return cell_html(label, unit) if unit else escape(label)


def _cell(value: float | None, unit: Unit) -> str:
    return f'<td class="number">{cell_html(value, unit)}</td>'
