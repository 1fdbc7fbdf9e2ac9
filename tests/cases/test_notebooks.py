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


def test_an_earlier_error_that_a_cell_showed_says_nothing_of_the_run(notebook, arrived):
    """A typo in an earlier cell, a traceback below it, and the next try works: trackers that ask for the last
    traceback at the end call the training failed. It has completed."""
    notebook(
        "1 / 0",
        "import traceml_agent\nrun = traceml_agent.start('started')\nrun.log(loss=1)",
        "undefined",
        "with traceml_agent.track('block') as block: block.log(loss=2)",
        allow_errors=True,
    )
    runs = {stored["headers"][0]["model"]: status(stored) for stored in arrived(2)}
    assert runs == {"started": "completed", "block": "completed"}


def test_a_cell_that_fails_within_its_block_has_failed(notebook, arrived):
    """And where the error is the run's own, it has failed, and the next try is a run of its own."""
    cell = "import traceml_agent\nwith traceml_agent.track('x') as run:\n    run.log(loss=1)\n    1 / {}"
    notebook(cell.format(0), cell.format(1), allow_errors=True)
    assert sorted(map(status, arrived(2))) == ["completed", "failed"]
