"""Notebooks and interactive shells: where a run is started again by running its cell again, and errors end nothing."""

from __future__ import annotations

import sys


def is_interactive() -> bool:
    """Whether a person types the code: an error shown earlier then says nothing of how the process ends."""
    if hasattr(sys, "ps1") or sys.flags.interactive:
        return True
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell, "get_ipython", lambda: None)() is not None


def cell() -> tuple[str, int] | None:
    """The cell and line whose top level calls the agent; None elsewhere, as in a function or a script."""
    if not is_interactive():
        return None
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("traceml_agent"):
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None or frame.f_code.co_name != "<module>" or frame.f_globals.get("__name__") != "__main__":
        return None
    return frame.f_code.co_filename, frame.f_lineno


def end_former(run) -> None:
    """End runs that the same line of a cell started before, or another cell for the same model: nobody holds them."""
    run.cell = cell()
    if run.cell is None:
        return
    from traceml_agent.messages import warn
    from traceml_agent.run import active

    for former in active():
        if former is not run and former.cell and (former.cell == run.cell or former.model == run.model):
            former.stop()
            warn(f"the run {former.run_id} of {former.model} was ended: its cell started a new one")
