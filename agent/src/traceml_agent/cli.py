"""The command line `traceml-agent`: loads the command's module, and reports its errors in one sentence."""

from __future__ import annotations

import sys
from importlib import import_module

from traceml_agent import messages
from traceml_agent.commands.terminal import (
    BROKEN_PIPE,
    INTERRUPTED,
    Complaint,
    Parser,
    discard_stdout,
    hold_standard_streams,
)
from traceml_agent.inputs.config import Refused
from traceml_agent.version import __version__

#: Commands, each with the module in `commands` that adds its parser. Only the module asked for is loaded.
COMMANDS = {
    "run": "run",
    "watch": "watch",
    "estimate": "estimate",
    "doctor": "doctor",
    "sync": "sync",
    "export": "export",
    "cite": "cite",
    "import": "import_files",
    "login": "login",
    "update-catalogue": "update_catalogue",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status; 130 after Ctrl-C, as in a shell."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        hold_standard_streams()
        options = _parser(words).parse_args(words)
        status = options.command(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        discard_stdout()
        return BROKEN_PIPE
    except (Complaint, Refused) as error:
        return _complain(str(error), error.status if isinstance(error, Complaint) else 1)
    except OSError as error:
        if error.filename is None:  # stdout itself, such as a full disk
            discard_stdout()
        return _complain(f"{error.filename or 'output'}: {error.strerror or error}")
    except Exception as error:
        if messages.raising:
            raise
        return _complain(
            f"internal error ({type(error).__name__}: {error}). Set TRACEML_AGENT_STRICT=1 to see the traceback."
        )


def _parser(words: list[str]) -> Parser:
    parser = Parser(
        prog="traceml-agent",
        description="Measures the energy and emissions of training and using AI models.",
        epilog="Run `traceml-agent COMMAND --help` for an example.",
    )
    parser.add_argument("--version", action="version", version=f"traceml-agent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    asked = [word for word in words[:1] if word in COMMANDS]
    for name in asked or COMMANDS:
        import_module(f"traceml_agent.commands.{COMMANDS[name]}").add_command(commands)
    return parser


def _complain(text: str, status: int = 1) -> int:
    print(f"traceml-agent: {text}", file=sys.stderr)
    return status
