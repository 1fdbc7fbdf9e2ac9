"""Notebooks in the world: kernels that are shut down, restarted, or run a whole script in a cell."""

import os

import nbformat
import pytest
from nbclient import NotebookClient

from tests.cases.conftest import metrics, status


@pytest.fixture
def notebook(environment, tmp_path, processes):
    """Executes cells in a real kernel, as a scheduler of notebooks does; gives the text of all outputs on stdout."""

    def execute(*cells, **how):
        note = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        client = NotebookClient(note, timeout=30, kernel_name="python3", **how)
        client.execute(env=os.environ | environment, cwd=str(tmp_path))
        return "".join(
            output.get("text", "") for cell in note.cells for output in cell.outputs if output.get("name") == "stdout"
        )

    return execute


TRAINS = """
import time
from traceml_agent import start
run = start("x")
for step in range(10):
    run.log(loss=step)
    time.sleep(0.15)
"""


@pytest.mark.parametrize("how", ["graceful", "immediate"])
def test_a_notebook_that_is_over_has_ended_its_run(notebook, arrived, how):
    """Scheduled notebooks, and kernels that somebody restarts: nobody ends the run, the kernel is told to go or is
    killed, and the run stays open for ever or goes on in the next notebook. It ends with its kernel, with all its
    values."""
    out = notebook(TRAINS, "time.sleep(1.5)", shutdown_kernel=how)
    assert out == ""
    (stored,) = arrived()
    assert metrics(stored)["loss"] == [float(step) for step in range(10)]
    if how == "graceful":
        assert status(stored) == "completed"


def test_a_script_that_a_cell_runs_is_one_run_of_its_own(notebook, arrived, tmp_path):
    """`%run train.py` in a cell, where the script ends by sys.exit: the kernel lives on, no exit hook runs, and a
    tracker waits for an end that never comes. The script's block is a whole run, and the next cell's is another."""
    (tmp_path / "train.py").write_text(
        "import sys, time, traceml_agent\n"
        "with traceml_agent.track('script') as run:\n    time.sleep(0.3)\n    run.log(loss=1)\n    sys.exit(0)\n"
    )
    notebook("%run train.py", "import traceml_agent\nwith traceml_agent.track('cell') as run: run.log(loss=2)")
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(2)}
    assert {name: status(stored) for name, stored in runs.items()} == {"script": "completed", "cell": "completed"}
    assert metrics(runs["script"]) == {"loss": [1.0]}


def test_a_cell_that_awaits_is_measured_over_its_cells(notebook, arrived):
    """Cells that await at their top level, and one task that goes on while other cells run: trackers that call
    asyncio.run fail there, for a loop is running. The task's run lasts as long as the task."""
    out = notebook(
        "import asyncio, traceml_agent\n"
        "async def work():\n"
        "    async with traceml_agent.track('task') as run:\n"
        "        await asyncio.sleep(1)\n"
        "        run.log(loss=1)\n"
        "task = asyncio.ensure_future(work())",
        "with traceml_agent.track('cell') as run: run.log(loss=2)",
        "await task",
    )
    assert out == ""
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(2)}
    assert {name: metrics(stored)["loss"] for name, stored in runs.items()} == {"task": [1.0], "cell": [2.0]}


def ends(runs: list[dict]) -> dict[str, list[str]]:
    """How the runs of each model ended."""
    found: dict[str, list[str]] = {}
    for stored in runs:
        found.setdefault(stored["headers"][0]["model"], []).append(status(stored))
    return found


BEGINS = """
from traceml_agent import current_run, start
def begin(model):
    return start(model)
"""
AGAIN = {
    "the same cell": (["run = start('x')"] * 2, "import time\ntime.sleep(0.5)"),
    "another cell, the same model": (["a = start('x')", "b = start('x')"], "import time\ntime.sleep(0.5)"),
    "a function that the cell calls": (["run = begin('x')"] * 2, "pass"),
    "a cell with a magic": (["%%time\nrun = start('x')", "%%time\n\nrun = start('x')"], "pass"),
}


@pytest.mark.parametrize("how", AGAIN)
def test_a_cell_that_is_run_again_ends_the_run_that_it_started_before(notebook, arrived, how):
    """Experiment trackers in notebooks: the cell that starts a run is executed again, and again; the former runs go on
    beside the new one, each counts all of the machine's energy, and no word is said. The new one takes their place."""
    cells, then = AGAIN[how]
    left = """from traceml_agent.tracking.current import active
print([run.run_id == current_run().run_id for run in active()])"""
    out = notebook(BEGINS, cells[0], then, cells[1], left)
    assert "[True]" in out
    assert ends(arrived(2)) == {"x": ["completed", "completed"]}


def test_runs_that_one_cell_holds_side_by_side_all_go_on(notebook, arrived):
    """Two models compared in one cell, or a list of runs made by a function: nobody asked for an end."""
    left = "from traceml_agent.tracking.current import active\nprint(len(active()))"
    out = notebook(BEGINS, "a, b = start('a'), start('b')\nmore = list(map(begin, ['c', 'c', 'd']))", left)
    assert out == "5\n"
    assert ends(arrived(5)) == {"a": ["completed"], "b": ["completed"], "c": ["completed"] * 2, "d": ["completed"]}


def test_an_error_in_another_cell_is_not_the_runs(notebook, arrived):
    """A typo in some cell, hours after the training: the tracker takes the last error that was shown for the end of
    the run and calls it failed. It has completed; one whose own block raised has failed."""
    notebook(
        "from traceml_agent import start, track\nrun = start('x')",
        "unknown_name",
        "with track('y'):\n    1 / 0",
        allow_errors=True,
    )
    assert ends(arrived(2)) == {"x": ["completed"], "y": ["failed"]}
