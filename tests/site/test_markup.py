"""HTML is written in templates: in Python a template tag may have one line of it, by format_html, which escapes."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TAG = re.compile(r"</?[a-z][a-z0-9]*[ >/]")
WRITERS = ("format_html", "format_html_join")
#: What a sanitiser cleaned last is safe.
SANITISED = ROOT / "runs" / "web" / "markdown.py"


def python_files() -> list[Path]:
    return [path for folder in ("runs", "hardware", "traceml_site") for path in sorted((ROOT / folder).rglob("*.py"))]


def has_tags(path: Path) -> bool:
    return path.parent.name == "templatetags" or path.name == "tags.py"


def markup(source: str, in_tags: bool) -> list[str]:
    """HTML in the strings of a module, but for docstrings and what a template tag may write."""
    tree = ast.parse(source)
    allowed = {id(node) for node in ast.walk(tree) if in_tags for node in _lines_of_a_writer(node)}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        f"{node.lineno}: {node.value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and TAG.search(node.value)
        if id(node) not in allowed | docstrings
    ]


def _lines_of_a_writer(node: ast.AST) -> list[ast.expr]:
    """The string of a call of format_html that stands on one line."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WRITERS):
        return []
    return [each for each in node.args if each.lineno == each.end_lineno and isinstance(each, ast.Constant)]


def test_no_python_string_holds_html_but_the_line_of_a_template_tag():
    found = {path: markup(path.read_text(), has_tags(path)) for path in python_files()}
    assert {str(path.relative_to(ROOT)): lines for path, lines in found.items() if lines} == {}


def test_nothing_assembled_in_python_is_called_safe():
    calls = re.compile(r"\bmark_safe\(|\bSafeString\(|\|\s*safe\b")
    files = [*python_files(), *(ROOT / "templates").rglob("*.html")]
    assert [path for path in files if calls.search(path.read_text())] == [SANITISED]


@pytest.mark.parametrize(
    "source",
    [
        'row = "<td>"',
        'row = f"<b>{name}</b>"',
        'row = format_html(f"<b>{name}</b>")',
        'row = format_html("<tr>" "\\n" \n "</tr>")',
        'row = "".join(["<a href=", url])',
        'row = format_html("{}", "<br/>" + name)',
    ],
)
def test_html_in_a_string_is_found(source):
    assert markup(source, in_tags=True)


@pytest.mark.parametrize(
    "source",
    ['"""A <b>bold</b> docstring."""', "# <b>", 'words = "a < b and <1"', 'format_html("<b>{}</b>", name)'],
)
def test_what_is_no_html_of_ours_is_not(source):
    assert markup(source, in_tags=True) == []


def test_outside_template_tags_not_even_one_line_is_allowed():
    assert markup('format_html("<b>{}</b>", name)', in_tags=False)
