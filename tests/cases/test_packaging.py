"""How a program and its packages may lie, and what may be in the way of the process that delivers."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from traceml_agent.delivery.detached import PACKAGES

TRACKS = """
import time
from traceml_agent import track

with track("model") as run:
    run.log(loss=1)
    time.sleep(0.3)
"""


def test_an_application_that_keeps_each_package_in_a_folder_of_its_own(environment, processes, arrived, tmp_path):
    """Applications in one file (pex and the like) unpack each package to a folder that only their own `sys.path`
    names: a tracker's helper process did not find what it needs, and nothing ever arrived."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    folders = []
    for name in (*PACKAGES, "psutil", "traceml_agent"):
        folders.append(str(tmp_path / "unpacked" / f"{name}.whl"))
        Path(folders[-1]).mkdir(parents=True)
        (Path(folders[-1]) / name).symlink_to(Path(find_spec(name).origin).parent)
    script = f"import sys; sys.path[:0] = {folders!r}\n{TRACKS}"
    del environment["PYTHONPATH"]
    subprocess.run([tmp_path / "bare" / "bin" / "python", "-c", script], env=environment, check=True, timeout=30)
    arrived()


@pytest.mark.parametrize("option", ["-E", "-I"])
def test_an_interpreter_that_heeds_no_variables_has_a_helper_that_does_not_either(
    run, processes, arrived, tmp_path, option
):
    """Shared clusters set PYTHONPATH to packages of another Python, and people call Python so that it passes over it:
    a tracker's helper process fell over them."""
    others = tmp_path / "others"
    others.mkdir()
    (others / "json.py").write_text("raise SystemExit('of another Python')")
    source = str(Path(find_spec("traceml_agent").origin).parents[1])
    run(f"import sys; sys.path.insert(0, {source!r})\n{TRACKS}", options=[option], PYTHONPATH=str(others))
    arrived()


def test_a_helper_that_cannot_live_is_not_started_for_ever(run, processes, tmp_path):
    """Profiler: its helper died at once, and was started anew each second of a week's training, without a word."""
    begun = tmp_path / "begun"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'uploader_process' in str(sys.orig_argv):\n"
        f"    open({str(begun)!r}, 'a').write('.')\n"
        "    os._exit(1)\n"
    )
    source = str(Path(find_spec("traceml_agent").origin).parents[1])
    _, err = run(TRACKS.replace("0.3", "8"), PYTHONPATH=f"{tmp_path}:{source}")
    assert 1 < len(begun.read_text()) < 5
    assert err.count("the uploader exits as soon as it starts") == 1, err
