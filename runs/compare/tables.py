"""The comparison table as text for papers and files: exact numbers as CSV, three digits as Markdown and LaTeX."""

from collections.abc import Callable

from runs.compare.comparison import Comparison
from runs.exports import escapes
from runs.figures import units
from runs.selection.compared import FigureRow, names_of
from traceml_site.csv_lines import csv_lines

FORMS = {"csv": "text/csv", "md": "text/markdown", "tex": "application/x-tex"}
WORDS = {"csv": "CSV", "md": "Markdown", "tex": "LaTeX"}


def table(comparison: Comparison, form: str) -> str:
    """The figures of all runs, one line per figure; the base is marked."""
    heads = [
        f"{name} (base)" if run is comparison.base else name
        for run, name in zip(comparison.runs, names_of(comparison.runs), strict=True)
    ]
    return {"csv": _csv, "md": _markdown, "tex": _latex}[form](comparison, heads)


def _csv(comparison: Comparison, heads: list[str]) -> str:
    rows = ([row.word, units.STORED[row.quantity].symbol, *row.values] for row in _rows(comparison))
    return "".join(csv_lines(["figure", "unit", *heads], rows))


def _markdown(comparison: Comparison, heads: list[str]) -> str:
    lines = [
        ["", *map(escapes.markdown, heads)],
        ["---", *["---:"] * len(heads)],
        *_lines(comparison, escapes.markdown),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _latex(comparison: Comparison, heads: list[str]) -> str:
    lines = [["", *heads], *_lines(comparison, str)]
    body = [" & ".join(map(escapes.latex, line)) + r" \\" for line in lines]
    ruled = [r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{l{'r' * len(heads)}}}", *ruled, r"\end{tabular}", ""])


def _rows(comparison: Comparison) -> list[FigureRow]:
    return [line for row in comparison.figures for line in row.in_lines]


def _lines(comparison: Comparison, escape: Callable[[str], str]) -> list[list[str]]:
    """Rows as text; `escape` is applied to metric names, which come from users."""
    return [_line(row, escape(row.word)) for row in _rows(comparison)]


def _line(row: FigureRow, word: str) -> list[str]:
    if (unit := row.unit) is None:
        return [word, *(units.text(row.quantity, value) for value in row.values)]
    head = f"{word} ({unit.symbol})" if unit.symbol else word
    return [head, *(units.number(row.quantity, value, unit) for value in row.values)]
