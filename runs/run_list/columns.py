"""The columns of the run list: one table that defines its heads, cells, order and file."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.utils.http import urlencode

from runs.models import Run
from runs.selection.metric_columns import MetricColumn
from runs.selection.run_days import Used

#: Units that fit the figures of a page: the quantity, and the figures of its runs that should read well in it.
UNITS = {
    "kwh": ("energy", "energy_kwh"),
    "kg": ("emissions", "emissions_kg"),
    "used_kwh": ("energy", "used_kwh"),
    "used_kg": ("emissions", "used_kg"),
}


class ListedRun(NamedTuple):
    """A run of the list with what is read beside it, and the run that it is compared with, unless it is that one
    itself.

    `used` is what the run used on the selected days; None if the list has all days.
    """

    run: Run
    hardware: str
    member: str
    project: str
    metrics: dict[str, float | None]
    base: Run | None
    used: Used


class Column(NamedTuple):
    """A column by its name in the address. `kind` is how its cells are written: templates/run_list/cells/.

    A run's name is the head of its row and is written in _table_rows.html.
    """

    name: str
    word: str
    kind: str
    value: Callable[[ListedRun], Any]
    quantity: str = ""
    #: Which of UNITS its figures use; empty if their quantity has only one.
    unit: str = ""
    #: The column of Run that it sorts by; empty if it can't sort.
    order: str = ""
    #: Its columns in a file.
    exported: Sequence[str] = ()
    #: Its name in the column menu and in a list of selected days, if different from its word.
    choice: str = ""
    word_of_days: str = ""
    #: Whether it shows the difference from the baseline.
    is_compared: bool = False


NAME = Column("name", "Run", "run", lambda row: row.run.label, order="name",
              exported=["run_id", "name", "model", "archived_at"])  # fmt: skip
WORDS = [
    Column("state", "State", "state", lambda row: row.run, exported=["state", "exception"]),
    Column("kind", "Kind", "word", lambda row: row.run.get_kind_display(), order="kind", exported=["kind"]),
    Column("project", "Project", "name", lambda row: row.project, exported=["project", "team"]),
    Column("hardware", "Hardware", "name", lambda row: row.hardware, exported=["hardware"]),
    Column(
        "tags", "Tags", "tags", lambda row: [(urlencode({"tag": tag}), tag) for tag in row.run.tags], exported=["tags"]
    ),
    Column("member", "Run by", "name", lambda row: row.member, exported=["run_by"]),
    Column("source", "Recorded by", "name", lambda row: row.run.source_name,
           exported=["source", "source_version", "reported_kwh", "reported_kg"]),
]  # fmt: skip
TIMES = [
    Column("started", "Started", "when", lambda row: row.run.started_at, order="started_at",
           exported=["started_at", "ended_at"]),
    Column("duration", "Duration", "span", lambda row: row.run.duration_s, order="duration_s",
           exported=["duration_s"]),
]  # fmt: skip
#: Only in a list of selected days.
OF_DAYS = [
    Column("used", "Energy on these days", "amount", lambda row: row.used.energy_kwh, "energy", "used_kwh",
           order="used_kwh", exported=["used_from", "used_until", "used_energy_kwh"]),
    Column("used_kg", "CO₂e on these days", "amount", lambda row: row.used.emissions_kg, "emissions", "used_kg",
           exported=["used_emissions_kg"]),
]  # fmt: skip
FIGURES = [
    Column("measured", "Measured", "figure", lambda row: row.run.measured_share, "share", choice="Measured share",
           exported=["measured_share"]),
    Column("modelled", "Modelled", "amount", lambda row: row.run.modelled_kwh, "energy", "kwh",
           choice="Energy of hosted models", exported=["modelled_kwh"]),
    Column("energy", "Energy", "amount", lambda row: row.run.energy_kwh, "energy", "kwh", order="energy_kwh",
           word_of_days="Energy of the whole run", is_compared=True,
           exported=["energy_kwh", "energy_low_kwh", "energy_high_kwh", "shared_kwh", "overlaps"]),
    Column("emissions", "CO₂e", "amount", lambda row: row.run.emissions_kg, "emissions", "kg", order="emissions_kg",
           word_of_days="CO₂e of the whole run", is_compared=True,
           exported=["emissions_kg", "factor_kg_per_kwh", "pue"]),
    Column("idle", "Idle", "amount", lambda row: row.run.idle_kwh, "energy", "kwh", order="idle_kwh"),
]  # fmt: skip


def param(key: str) -> Column:
    return Column(f"param:{key}", key, "param", lambda row: row.run.params.get(key))


def metric(shown: MetricColumn) -> Column:
    return Column(shown.key, shown.name, "figure", lambda row: row.metrics.get(shown.name), "metric")


#: Columns that a reader may choose, in the order of the table.
CHOSEN_FROM = {column.name: column for column in [*WORDS, *TIMES, *FIGURES]}
DEFAULT = ("state", "kind", "started", "duration", "energy", "emissions")
#: Sort keys and their columns. `arrived` is not a column of the table.
SORTS = {"arrived": "received_at"}
SORTS |= {column.name: column.order for column in [NAME, *WORDS, *TIMES, *OF_DAYS, *FIGURES] if column.order}


def shown_columns(
    names: Sequence[str], params: Sequence[str], metrics: Sequence[MetricColumn], of_days: bool
) -> list[Column]:
    """Return the columns of a list in their order."""
    words, times, figures = ([each for each in some if each.name in names] for some in (WORDS, TIMES, FIGURES))
    days = OF_DAYS if of_days else []
    return [NAME, *words, *map(param, params), *times, *days, *figures, *map(metric, metrics)]


def exported_columns(of_days: bool) -> list[str]:
    """Return the columns of a file, which has all of them; the unit is the last word of a name."""
    behind = [*TIMES, *FIGURES, *(OF_DAYS if of_days else [])]
    return [*_fields([NAME, *WORDS]), "params", *_fields(behind)]


def _fields(columns: Sequence[Column]) -> list[str]:
    return [name for column in columns for name in column.exported]
