"""A comparison's table as text for papers and files: exact numbers as CSV, three digits as Markdown and LaTeX."""

import csv
import io

from runs.dashboards import escapes
from runs.dashboards.compare import Comparison, names_of
from runs.templatetags import units

FORMS = {"csv": "text/csv", "md": "text/markdown", "tex": "application/x-tex"}
WORDS = {"csv": "CSV", "md": "Markdown", "tex": "LaTeX"}
#: A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(comparison: Comparison, form: str) -> str:
    """The figures of every run, a line a figure; the base is marked."""
    heads = [
        f"{name} (base)" if run is comparison.base else name
        for run, name in zip(comparison.runs, names_of(comparison.runs), strict=True)
    ]
    return {"csv": _csv, "md": _markdown, "tex": _latex}[form](comparison, heads)


def _csv(comparison: Comparison, heads: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["figure", "unit", *map(plain_cell, heads)])
    for row in comparison.figures:
        stored = units.STORED[row.quantity].symbol
        writer.writerow([row.word, stored, *map(repr, row.values)])
    return text.getvalue()


def plain_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _markdown(comparison: Comparison, heads: list[str]) -> str:
    lines = [["", *map(escapes.markdown, heads)], ["---", *["---:"] * len(heads)], *_lines(comparison)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _latex(comparison: Comparison, heads: list[str]) -> str:
    lines = [["", *heads], *_lines(comparison)]
    body = [" & ".join(map(escapes.latex, line)) + r" \\" for line in lines]
    ruled = [r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{l{'r' * len(heads)}}}", *ruled, r"\end{tabular}", ""])


def _lines(comparison: Comparison) -> list[list[str]]:
    return [
        [f"{row.word} ({row.unit.symbol})", *(units.significant(value / row.unit.size) for value in row.values)]
        for row in comparison.figures
    ]
