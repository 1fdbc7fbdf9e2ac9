"""Charts as plain data: the page draws them, and the table below shows the same numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from runs.figures import units

#: More colours can't be told apart.
MOST_SERIES = 7


class Series(NamedTuple):
    """One line or colour of a chart; None is a gap. `lows` and `highs` are the bounds of values that are means."""

    name: str
    values: Sequence[float | None]
    lows: Sequence[float | None] | None = None
    highs: Sequence[float | None] | None = None
    #: The query value that selects only this series, if there is one.
    key: str = ""
    #: Which of the MOST_SERIES colours it has; None means the one at its position.
    colour: int | None = None

    @property
    def total(self) -> float:
        return sum(filter(None, self.values), 0.0)


class Band(NamedTuple):
    """A named span of the axis, such as an epoch."""

    name: str
    start: float
    end: float


class ChartTotals(NamedTuple):
    """The total of each series, for the table's last row."""

    quantity: str
    values: list[float]


class Mark(NamedTuple):
    """A named reference level, in the unit that the portal stores."""

    name: str
    value: float


class Twin(NamedTuple):
    """Another quantity proportional to the chart's: `per` is its amount per unit, such as CO2e per kWh."""

    name: str
    quantity: str
    per: float


def heights(series: Sequence[Series]) -> list[float]:
    """Return the sum of the series at each label; gaps count as zero."""
    return [sum(filter(None, values), 0.0) for values in zip(*(one.values for one in series), strict=True)]


def drawn(values: Sequence[float | None], digits: int = 6) -> list[float | None]:
    """Return values for scripts, without digits that neither a pixel nor a tooltip shows."""
    form, tie = f"%.{digits - 1}e", "5" + "0" * (digits - units.DIGITS - 1) + "e"
    return [None if value is None else _short(value, form % value, tie) for value in values]


def _short(value: float, text: str, tie: str) -> float:
    """Shorten the value so that it still rounds to the same three digits as the exact one, never onto a tie."""
    return float(f"{value:.12g}" if tie in text else text)


def _scale(quantity: str) -> list[dict]:
    """Return the units of a quantity from small to large, for scripts that rescale; none for days and stages."""
    return [unit._asdict() for unit in units.SCALES.get(quantity, [])]


class Chart(NamedTuple):
    """A chart with a sentence that describes it. `axis` is `day`, `week`, `month`, `stage`, or the quantity that it
    shows: `elapsed`, `energy` or `share`."""

    id: str
    title: str
    sentence: str
    quantity: str
    axis: str
    labels: list
    series: list[Series]
    totals: ChartTotals | None = None
    bands: list[Band] = []
    #: The start of each label's bucket and the end of the last one; empty if labels are points or days.
    edges: list[float] = []
    #: The numbers in the sentence, if chart and sentence are updated live.
    says: dict[str, float | None] = {}
    #: Levels on the value axis, and instants on the other one.
    marks: list[Mark] = []
    moments: list[Mark] = []
    twin: Twin | None = None
    #: First and last day of each label's bar, for links.
    spans: list[tuple[str, str]] = []
    #: A line over the bars, with an axis of its own.
    line: Series | None = None
    #: Index of the bar for the unfinished day, week or month, which will grow.
    running: int | None = None

    @property
    def data_id(self) -> str:
        return f"{self.id}-data"

    @property
    def unit(self) -> units.Unit:
        return units.unit_for(self.quantity, [value for series in self.series for value in series.values])

    @property
    def line_unit(self) -> units.Unit | None:
        return units.unit_for(self.quantity, self.line.values) if self.line else None

    @property
    def axis_unit(self) -> units.Unit | None:
        """The unit of an axis of elapsed seconds, energy or share; days need none."""
        return units.unit_for(self.axis, (self.edges or self.labels)[-1:]) if self.axis in units.SCALES else None

    @property
    def axis_word(self) -> str:
        """The head of the table's first column."""
        return {"elapsed": "Time", "share": "Done", "energy": "Energy used"}.get(self.axis, self.axis.capitalize())

    @property
    def column_units(self) -> list[units.Unit]:
        """The unit of each value in a row of the table."""
        return [self.unit] * len(self.series) + ([self.twin_unit] if self.twin_unit else [])

    @property
    def rows(self) -> list[tuple]:
        """The rows of the table: a label, and the values of each series and of the proportional quantity."""
        columns = [series.values for series in self.series] + ([self.twin_values] if self.twin else [])
        return list(zip(self.labels, *columns, strict=True))

    @property
    def row_units(self) -> list[units.Unit | None]:
        return [self.axis_unit, *self.column_units]

    @property
    def linked_rows(self) -> list[tuple]:
        """The rows of a table below bars: the bar's first and last day, label, value of each series and of the line."""
        sums = [(value,) for value in self.line.values] if self.line else [()] * len(self.labels)
        return [(*days, *row, *total) for days, row, total in zip(self.spans, self.rows, sums, strict=True)]

    @property
    def linked_row_units(self) -> list[units.Unit | None]:
        return [None, None, *self.row_units, *([self.line_unit] if self.line else [])]

    @property
    def twin_values(self) -> list[float]:
        """The proportional quantity of all series together, at each label."""
        return [self.twin.per * height for height in heights(self.series)] if self.twin else []

    @property
    def twin_unit(self) -> units.Unit | None:
        return units.unit_for(self.twin.quantity, self.twin_values) if self.twin else None

    @property
    def _twin_data(self) -> dict | None:
        if self.twin is None:
            return None
        unit = units.unit_for(self.twin.quantity, self.twin_values)
        return self.twin._asdict() | {"unit": unit._asdict(), "scale": _scale(self.twin.quantity)}

    @property
    def drawn_data(self) -> dict:
        """Return the same as `data`, for pages whose table has exact values and is not written by a script."""
        series = [one._replace(values=drawn(one.values)) for one in self.series]
        line = self.line and self.line._replace(values=drawn(self.line.values))
        return self._replace(series=series, line=line).data

    @property
    def data(self) -> dict:
        """Return the data that the script draws, in stored units."""
        return {
            "id": self.id,
            "quantity": self.quantity,
            "axis": self.axis,
            "axisUnit": self.axis_unit and self.axis_unit._asdict(),
            "axisScale": _scale(self.axis),
            "unit": self.unit._asdict(),
            "scale": _scale(self.quantity),
            "labels": self.labels,
            "edges": self.edges,
            "series": [series._asdict() for series in self.series],
            "spans": self.spans,
            "running": self.running,
            "line": self.line
            and self.line._asdict() | {"unit": units.unit_for(self.quantity, self.line.values)._asdict()},
            "bands": [band._asdict() for band in self.bands],
            "says": self.says,
            "marks": [mark._asdict() for mark in self.marks],
            "moments": [mark._asdict() for mark in self.moments],
            "twin": self._twin_data,
        }
