"""Notebooks and interactive shells, where running a cell again starts its run again, and errors end nothing."""

from __future__ import annotations

import sys


def is_interactive() -> bool:
    """Whether a person types the code. Then an earlier error says nothing about how the process ends."""
    if hasattr(sys, "ps1") or sys.flags.interactive:
        return True
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell, "get_ipython", lambda: None)() is not None


def cell() -> tuple[str, int | None, bool] | None:
    """The cell that calls the agent: its file and instruction, the number of this execution, and whether the call is in
    the cell itself, not in a function.

    The first is empty if it identifies nothing, the number None if there is none, as at Python's own prompt. A script,
    a thread and a task have no cell.
    """
    if not is_interactive():
        return None
    frame, is_direct = sys._getframe(), True
    while frame is not None and not _is_of_a_cell(frame):
        is_direct &= frame.f_globals.get("__name__", "").startswith("traceml_agent")
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None:
        return None
    name = frame.f_code.co_filename
    place = "" if name.startswith("<") else f"{name}:{frame.f_lasti}"  # such as <stdin> for everything typed
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return place, getattr(shell, "execution_count", None), is_direct


def _is_of_a_cell(frame) -> bool:
    # The kernel's own script was called __main__ too, but no longer is.
    return frame.f_code.co_name == "<module>" and frame.f_globals is vars(sys.modules["__main__"])


def end_former(run, runs) -> None:
    """End those of `runs` that the same call in a cell started before, or another cell for the same model."""
    run.cell = cell()
    if run.cell is None:
        return
    from traceml_agent.messages import warn

    for former in runs:
        if former is not run and former.cell and _takes_the_place_of(run, former):
            former.stop()
            warn(f"run {former.run_id} of {former.model} has ended: its cell started a new run")


def _takes_the_place_of(run, former) -> bool:
    (place, turn, is_direct), (former_place, former_turn, was_direct) = run.cell, former.cell
    if turn is not None and turn == former_turn and not (is_direct and was_direct):
        return False  # a function that one cell calls several times: the caller may use all of the runs
    return (place != "" and place == former_place) or run.model == former.model
