"""The package by itself: wheel and sdist install into a clean environment, with what they need and nothing else."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

AGENT = Path(__file__).parents[2] / "agent"
NEEDED = {"traceml-agent", "psutil", "requests", "nvidia-ml-py"}
NEEDED_BY_REQUESTS = {"certifi", "charset-normalizer", "idna", "urllib3"}
TOOLS = {"pip", "setuptools"}


def python(*words, **more):
    return subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True, **more).stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution, built from a copy so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("source") / "agent"
    shutil.copytree(AGENT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    python("-m", "build", "--sdist", str(copy))
    (made,) = (copy / "dist").glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def clean(sdist, tmp_path_factory):
    """A clean environment with the wheel that was built from the sdist; gives its folder of programs."""
    folder = tmp_path_factory.mktemp("clean")
    quiet = ["--quiet", "--disable-pip-version-check"]
    python("-m", "pip", "wheel", *quiet, "--no-deps", "--wheel-dir", str(folder), str(sdist))
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([programs / "python", "-m", "pip", "install", *quiet, wheel], check=True, capture_output=True)
    return programs


def test_the_sdist_holds_the_data_the_types_and_the_licence(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        f"src/traceml_agent/{name}" for name in ("py.typed", "catalogue/data/cpus.csv", "catalogue/data/factors.csv")
    } <= names
    assert {"README.md", "LICENSE"} <= names


def test_nothing_is_installed_but_what_is_needed(clean):
    listed = subprocess.run([clean / "python", "-m", "pip", "list", "--format=json"], check=True, capture_output=True)
    assert {row["name"] for row in json.loads(listed.stdout)} - TOOLS == NEEDED | NEEDED_BY_REQUESTS


def interpreters():
    """Other Pythons from 3.10 on that this machine happens to have."""
    folders = sorted(Path(os.environ.get("PYENV_ROOT") or "nowhere").glob("versions/3.1[0-9]*/bin/python"))
    return [str(path) for path in folders] or [sys.executable]


@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda path: Path(path).parts[-3])
def test_it_measures_under_every_python_that_is_here(interpreter, tmp_path):
    settings = {"PYTHONPATH": str(AGENT / "src"), "TRACEML_AGENT_SPOOL_DIR": str(tmp_path), "HOME": str(tmp_path)}
    code = "import traceml_agent as t\nwith t.track('x') as run: sum(range(10**6))\nprint(run.summary.energy_kwh > 0)"
    words = [interpreter, "-B", "-c", code]
    done = subprocess.run(words, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_it_measures_and_reports_from_there(clean, tmp_path):
    environment = os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("PYTHONPATH", None)
    code = "import traceml_agent as t\nwith t.track('x') as run: sum(range(10**6))\nprint(run.summary.energy_kwh > 0)"
    done = subprocess.run([clean / "python", "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    done = subprocess.run([clean / "traceml-agent", "--version"], env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("traceml-agent 0.")
