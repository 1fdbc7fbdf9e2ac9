"""Notebooks: `%load_ext traceml_agent` adds the magic `%%traceml`, which measures a cell."""

from __future__ import annotations

import ast
import contextlib
import shlex
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from traceml_agent.inputs.metadata import KINDS
from traceml_agent.track import current_run, track

#: Where the run of the latest cell is kept.
VARIABLE = "_traceml"


@magics_class
class TraceMLMagics(Magics):
    """The magic `%%traceml`."""

    @magic_arguments()
    @argument("model", nargs="?", help="The model's name, which stays the same over its whole life.")
    @argument("-k", "--kind", choices=KINDS, default="training", help="What the cell does; training without it.")
    @argument("-n", "--name", help="A name for this run.")
    @argument("-t", "--tag", action="append", default=[], help="A tag. May be given several times.")
    @argument("-p", "--param", action="append", default=[], help="A parameter, as lr=0.1. May be given several times.")
    @argument("-o", "--output", metavar="VARIABLE", help=f"A variable for the run, beside {VARIABLE}.")
    @argument("-q", "--quiet", action="store_true", help="Show no figures below the cell.")
    @line_cell_magic
    def traceml(self, line: str, cell: str | None = None):
        """Measure a cell: the whole cell is a run, and its figures are shown below it.

        An error in the cell ends the run as failed, an interrupt as cancelled. Inside the cell,
        `traceml_agent.current_run()` is the run. `%traceml` alone shows the figures of the run in progress, or of the
        latest cell.
        """
        shell: Any = self.shell
        if cell is None:
            if line.strip():
                raise UsageError("%traceml shows a run. To measure a cell, begin it with %%traceml.")
            return current_run() or shell.user_ns.get(VARIABLE)
        given = _options(line)
        params = dict(_pair(words) for words in given.param)
        with track(given.model, given.kind, given.name, given.tag, params, quiet=True) as run:
            for name in filter(None, (VARIABLE, given.output)):
                shell.user_ns[name] = run
            value = _value(shell, cell)
        if not given.quiet:
            display(run)
        return value


def _options(line: str):
    """The options of a cell. IPython's own splitting leaves the quotes in them."""
    try:
        return TraceMLMagics.traceml.parser.parse_args(shlex.split(line))  # type: ignore[attr-defined]
    except ValueError as error:
        raise UsageError(f"%%traceml: {error}") from None


def _value(shell, cell: str):
    """Run a cell as the shell does, and return the value of its last expression.

    `run_cell` would show errors instead of raising them, and the notebook would go on.
    """
    code = shell.transform_cell(cell)
    name = shell.compile.cache(code, shell.execution_count, raw_code=cell)
    tree = shell.transform_ast(shell.compile.ast_parse(code, filename=name))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(shell.compile(tree, name, "exec"), shell.user_ns)  # noqa: S102 (the user's own code)
    if last is None:
        return None
    return eval(shell.compile(ast.Expression(last.value), name, "eval"), shell.user_ns)  # noqa: S307


def _pair(words: str) -> tuple[str, object]:
    """A parameter from `key=value`: a number or another literal if it is one, else text."""
    key, equals, text = words.partition("=")
    if not (key and equals):
        raise UsageError(f"--param needs key=value, not {words!r}.")
    value: object = text
    with contextlib.suppress(ValueError, SyntaxError):
        value = ast.literal_eval(text)
    return key, value


def load(shell) -> None:
    """Add the magic to a shell of IPython."""
    shell.register_magics(TraceMLMagics)
