"""The table of the run list: heads and cells of its columns, ready for templates/run_list/."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runs.figures.units import SCALES, Unit, unit_for
from runs.models import Run
from runs.run_list.columns import UNITS, Column, ListedRun
from runs.run_list.order import SortHead

NUMBERS = ("span", "figure", "amount")


class TableHead(NamedTuple):
    """A column with its head. `label` names a cell on a phone, where no head is shown."""

    column: Column
    word: str
    label: str
    unit: Unit | None
    sort: SortHead | None

    @property
    def is_number(self) -> bool:
        return self.column.kind in NUMBERS


class Cell(NamedTuple):
    """What a template needs to write it; `before` is the baseline's figure, if it is compared with one."""

    template: str
    label: str
    value: Any
    quantity: str
    unit: Unit | None
    before: float | None


class TableRow(NamedTuple):
    """A run as a row: its head and its cells. `model` is shown beside the run's name; empty if the run has none."""

    run_id: str
    short_id: str
    label: str
    model: str
    is_running: bool
    is_archived: bool
    is_base: bool
    cells: list[Cell]


def units_of(rows: Sequence[ListedRun]) -> dict[str, Unit]:
    """Return the units that fit these runs, by their names in UNITS."""
    return {
        name: unit_for(quantity, [getattr(row.run, field, None) for row in rows])
        for name, (quantity, field) in UNITS.items()
    }


def heads_of(
    columns: Sequence[Column], units: Mapping[str, Unit], sorts: Mapping[str, SortHead], of_days: bool
) -> list[TableHead]:
    return [_head(column, units, sorts.get(column.name), of_days) for column in columns]


def _head(column: Column, units: Mapping[str, Unit], sort: SortHead | None, of_days: bool) -> TableHead:
    unit = None
    if column.quantity:
        unit = units[column.unit] if column.unit else SCALES[column.quantity][0]
    label = f"{column.word} ({unit.symbol})" if unit and unit.symbol else column.word
    return TableHead(column, (of_days and column.word_of_days) or column.word, label, unit, sort)


def table_row(row: ListedRun, shown: Sequence[TableHead], base: Run | None) -> TableRow:
    run, run_id = row.run, str(row.run.run_id)
    return TableRow(
        run_id=run_id,
        short_id=run_id[:8],
        label=run.label,
        model=run.tracked_model.name if run.name else "",
        is_running=run.state == Run.Status.RUNNING,
        is_archived=run.archived_at is not None,
        is_base=base is not None and base.pk == run.pk,
        cells=[_cell(row, head) for head in shown],
    )


def _cell(row: ListedRun, head: TableHead) -> Cell:
    column = head.column
    before = column.value(row._replace(run=row.base)) if column.is_compared and row.base else None
    return Cell(f"run_list/cells/{column.kind}.html", head.label, column.value(row), column.quantity, head.unit, before)
