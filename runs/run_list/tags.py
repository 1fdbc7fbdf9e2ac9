"""Lines of the run list and of its groups as HTML. In one go: as a loop of a template they took half of its time."""

from collections.abc import Iterator
from typing import NamedTuple

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import mark_safe

from runs.figures.units import Unit, as_json, span
from runs.run_list.page import Look, Row
from runs.selection.group_tests import Difference
from runs.selection.groups import Group, Spread
from runs.templatetags.parts import state
from runs.templatetags.times import when
from runs.templatetags.units import change, figure

register = template.Library()

ROW = """<tr id="run-{id}"{running}>
  <th scope="row" class="pick"><input type="checkbox" name="run" value="{id}" aria-label="Select {label}"><a href="{url}"><bdi>{label}</bdi></a>
    <span class="second">{model}<span class="mono" title="{id}">{short_id}</span>{archived} <a class="base" href="{link}base={id}" title="Show how much more or less than this run the others used">{base}</a></span></th>
  {cells}
</tr>
"""  # noqa: E501
RUNNING = mark_safe(" data-running")
MODEL = "<bdi>{}</bdi> · "
STATE = "<td>{}</td>"
WORD = '<td data-label="{}">{}</td>'
NAME = '<td data-label="{}"><bdi>{}</bdi></td>'
TAG = '<a class="tag" href="{}{}"><bdi>{}</bdi></a> '
PARAM = '<td class="mono" data-label="{}">{}</td>'
NUMBER = '<td class="number" data-label="{}">{}</td>'
AMOUNT = '<td class="number" data-label="{} ({})"><span>{}{}</span></td>'
CHANGE = '<span class="second">{}</span>'


class Shown(NamedTuple):
    """What all rows have in common: columns, units, and the beginnings of addresses."""

    look: Look
    kwh: Unit
    kg: Unit
    percent: Unit
    used_kwh: Unit
    used_kg: Unit
    base_link: str
    tag_link: str
    run_url: str


@register.simple_tag
def run_rows(rows: list[Row], look: Look, asked, kwh: Unit, kg: Unit, percent: Unit, used_kwh: Unit, used_kg: Unit):
    """The rows of runs; `asked` is the query string of their list."""
    run_url = reverse("run_list")
    shown = Shown(look, kwh, kg, percent, used_kwh, used_kg, _link(asked, "base"), _link(asked, "tag", "page"), run_url)
    return format_html_join("", "{}", ((_row(row, shown),) for row in rows))


def _link(asked, *without: str) -> str:
    """The query string without some names, for another value to be put behind it."""
    kept = asked.copy()
    for name in without:
        kept.pop(name, None)
    return f"?{kept.urlencode()}&" if kept else "?"


def _row(row: Row, shown: Shown):
    run, run_id = row.run, str(row.run.run_id)
    return format_html(
        ROW,
        id=run_id,
        short_id=run_id[:8],
        label=run.label,
        url=f"{shown.run_url}{run_id}/",
        link=shown.base_link,
        running=RUNNING if run.state == "running" else "",
        model=format_html(MODEL, run.tracked_model.name) if run.name else "",
        archived=" · archived" if run.archived_at else "",
        base="baseline" if shown.look.base and shown.look.base.pk == run.pk else "as baseline",
        cells=mark_safe("".join(_cells(row, shown))),  # noqa: S308 (each is made by format_html)
    )


def _cells(row: Row, shown: Shown) -> Iterator[str]:
    columns = shown.look.columns
    yield from (WORDS[name](row, shown) for name in WORDS if name in columns)
    yield from (_param(key, value) for key, value in row.params)
    yield from (TIMES[name](row, shown) for name in TIMES if name in columns)
    if row.used:
        yield _amount("Energy on these days", "energy", row.used.energy_kwh, shown.used_kwh, None)
        yield _amount("CO₂e on these days", "emissions", row.used.emissions_kg, shown.used_kg, None)
    yield from (FIGURES[name](row, shown) for name in FIGURES if name in columns)
    yield from (format_html(NUMBER, name, figure("metric", value)) for name, value in row.metrics)


def _tags(row: Row, shown: Shown):
    links = ((shown.tag_link, urlencode({"tag": tag}), tag) for tag in row.run.tags)
    return format_html(WORD, "Tags", format_html_join("", TAG, links))


def _param(key: str, value):
    return format_html(PARAM, key, "" if value is None else format_html("<bdi>{}</bdi>", as_json(value)))


def _energy(row: Row, shown: Shown):
    before = row.base.energy_kwh if row.base else None
    return _amount("Energy", "energy", row.run.energy_kwh, shown.kwh, before)


def _emissions(row: Row, shown: Shown):
    before = row.base.emissions_kg if row.base else None
    return _amount("CO₂e", "emissions", row.run.emissions_kg, shown.kg, before)


def _amount(word: str, quantity: str, value: float, unit: Unit, before: float | None):
    changed = "" if before is None else format_html(CHANGE, change(quantity, value, before))
    return format_html(AMOUNT, word, unit.symbol, figure(quantity, value, unit), changed)


@register.simple_tag
def group_cells(group: Group, difference: Difference | None, kwh: Unit, kwh_each: Unit, kg: Unit, kg_each: Unit):
    """How many runs a group has, and what they used together and each."""
    before = difference and difference.base.energy.mean
    # Colour is for news: what may well be chance is none.
    better = None if difference and difference.is_significant else ""
    cells = [
        format_html(NUMBER, "Runs", figure("count", group.runs)),
        format_html(NUMBER, f"Energy ({kwh.symbol})", figure("energy", group.energy.sum, kwh)),
        _of_a_run("Energy", "energy", group.energy, kwh_each, before, better),
        format_html(NUMBER, f"CO₂e ({kg.symbol})", figure("emissions", group.emissions.sum, kg)),
        _of_a_run("CO₂e", "emissions", group.emissions, kg_each, None, None),
        format_html(NUMBER, "Mean duration", span(group.mean_duration_s)),
    ]
    return mark_safe("".join(cells))  # noqa: S308 (each is made by format_html)


def _of_a_run(word: str, quantity: str, spread: Spread, unit: Unit, before: float | None, better: str | None):
    shown = format_html("{} ± {}", figure(quantity, spread.mean, unit), figure(quantity, spread.sd, unit))
    changed = "" if before is None else format_html(CHANGE, change(quantity, spread.mean, before, better))
    return format_html(AMOUNT, f"{word} of a run", unit.symbol, shown, changed)


WORDS = {
    "state": lambda row, shown: format_html(STATE, state(row.run)),
    "kind": lambda row, shown: format_html(WORD, "Kind", row.run.get_kind_display()),
    "project": lambda row, shown: format_html(NAME, "Project", row.project),
    "hardware": lambda row, shown: format_html(NAME, "Hardware", row.hardware),
    "tags": _tags,
    "member": lambda row, shown: format_html(NAME, "Run by", row.member),
}
TIMES = {
    "started": lambda row, shown: format_html(WORD, "Started", when(row.run.started_at)),
    "duration": lambda row, shown: format_html(NUMBER, "Duration", span(row.run.duration_s)),
}
FIGURES = {
    "measured": lambda row, shown: format_html(
        NUMBER, "Measured (%)", figure("share", row.run.measured_share, shown.percent)
    ),
    "energy": _energy,
    "emissions": _emissions,
    "idle": lambda row, shown: _amount("Idle", "energy", row.run.idle_kwh, shown.kwh, None),
}
