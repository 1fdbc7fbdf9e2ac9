"""Notebooks, with a real kernel: `%%traceml` measures a cell, and runs and summaries show themselves."""

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, kept, params, stages

LOADS = "%load_ext traceml_agent"


@pytest.fixture
def notebook(environment, tmp_path, processes):
    """Executes cells in a real kernel; gives the outputs of the last one, by their types of content."""

    def execute(*cells, **how) -> dict:
        note = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        client = NotebookClient(note, timeout=60, kernel_name="python3", **how)
        client.execute(env=os.environ | environment, cwd=str(tmp_path))
        shown: dict = {}
        for output in note.cells[-1].outputs:
            shown |= output.get("data", {})
        return shown

    return execute


def test_a_cell_is_a_run_as_documented(notebook, arrived):
    loads, trains, reads = blocks("docs/integrations/notebooks.md", "python")
    shown = notebook(loads, trains, reads)
    assert float(re.match(r"\((.+?),\s+'http", shown["text/plain"])[1]) > 0
    (stored,) = arrived()
    assert (stored["headers"][0]["model"], stored["headers"][0]["kind"]) == ("digits", "training")
    assert (params(stored), status(stored)) == ({"lr": 0.1}, "completed")
    assert (len(metrics(stored)["loss"]), len(stages(stored))) == (3, 3)
    assert busy_s(stored) > 0


def test_the_view_of_a_run_has_figures_and_a_chart_and_no_script(notebook, arrived):
    """Everything is escaped: names come from anywhere. It takes the notebook's colours, so it suits a dark theme."""
    cell = "%%traceml '<script>alert(1)</script>' --output mine\nimport time\ntime.sleep(2.5)\n'the value'"
    shown = notebook(LOADS, cell)
    html = shown["text/html"]
    assert shown["text/plain"] == "'the value'"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: training, ended" in html
    assert "<script" not in html
    assert re.search(r'<svg role="img" aria-label="Power over 2\.5\d* s: [^"]+ on average, [^"]+ at most"', html)
    assert not re.search(r"(?<!&)#[0-9a-f]{3}|rgb|white|black", html)
    for row in ("Energy", "Emissions", "Measured", "Duration", "Devices"):
        assert f">{row}</th>" in html
    arrived(1)


def test_summaries_and_runs_of_any_kind_show_themselves(notebook):
    track = "from traceml_agent import track\nwith track('x') as run:\n    pass\nrun.summary"
    assert "Energy" in notebook(track)["text/html"]
    assert notebook("from traceml_agent import current_run\ncurrent_run()")["text/html"].count("</th>") == 5


def test_the_line_magic_shows_the_run_of_the_latest_cell(notebook, arrived):
    shown = notebook(LOADS, "%%traceml digits -q\nx = 1", "%traceml")
    assert "digits: training, ended" in shown["text/html"]
    arrived(1)


def test_an_error_stops_the_notebook_and_the_run_has_failed(notebook, arrived):
    """With `%%time`, executed notebooks go on after an error, since the magic only shows it."""
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebook(LOADS, "%%traceml digits\n1 / 0", "never")
    (stored,) = arrived()
    assert status(stored) == "failed"


def test_an_interrupted_cell_is_cancelled(notebook, arrived):
    interrupt = (
        "import os, signal, threading, time\nthreading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()"
    )
    notebook(LOADS, f"%%traceml digits\n{interrupt}\ntime.sleep(30)", allow_errors=True)
    (stored,) = arrived()
    assert status(stored) == "cancelled"


def test_cells_that_run_again_are_runs_of_their_own_also_with_autoreload(notebook, arrived, tmp_path):
    (tmp_path / "mine.py").write_text("VALUE = 1\n")
    again = "%%traceml digits -p value={mine.VALUE}\nfrom pathlib import Path\nimport mine\nmine.VALUE"
    changes = "Path('mine.py').write_text('VALUE = 22\\n')"
    shown = notebook("%load_ext autoreload\n%autoreload 2", LOADS, "import mine", again, LOADS, changes, again)
    assert shown["text/plain"] == "22"
    assert [(params(stored), status(stored)) for stored in arrived(2)] == [
        ({"value": 1}, "completed"),
        ({"value": 22}, "completed"),
    ]


def test_wrong_options_start_no_run(notebook, portal, place):
    for line in ("--kind nonsense", "--param lr", "--param =1", "'"):
        with pytest.raises(CellExecutionError, match="UsageError"):
            notebook(LOADS, f"%%traceml digits {line}\nx = 1")
    assert (portal.runs(), kept(place)) == ({}, [])


def test_a_portal_that_is_down_changes_nothing(notebook, portal_down, place):
    assert notebook(LOADS, "%%traceml digits\n1 + 1")["text/plain"] == "2"
    (stored,) = kept(place)
    assert status(stored) == "completed"
