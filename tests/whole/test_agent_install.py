"""The line that the portal shows, given to a real pip: it takes the agent from there, and asks no index for it."""

import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from pathlib import Path

import pytest

from tests.documents import blocks
from tests.screens.html import Page
from tests.site.test_start import SOUND
from traceml_agent import __version__

ROOT = Path(__file__).resolve().parents[2]
START_WITHIN_S = 30


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    """The address of a portal that gunicorn serves as the documentation says."""
    folder = tmp_path_factory.mktemp("portal")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings = {"TRACEML_DATA": str(folder), "TRACEML_BASE_URL": url, "PORT": str(port), "HOST": "127.0.0.1"}
    words = [sys.executable, "-m", "gunicorn", "-c", "python:traceml_site.serving.gunicorn", "traceml_site.wsgi"]
    environment = (
        os.environ
        | SOUND
        | settings
        | {"ALLOWED_HOSTS": "127.0.0.1", "DJANGO_SETTINGS_MODULE": "traceml_site.settings"}
    )
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while not _answers(url):
            assert process.poll() is None and time.monotonic() < deadline, "the portal did not start"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/healthz", timeout=2).status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """The folder of programs of an environment with nothing but pip."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return folder / "bin"


def pip(programs, *words) -> None:
    """A pip without anybody's settings, so that what it installs came from where it was told to look."""
    command = [programs / "python", "-m", "pip", "install", "--no-deps", "--no-cache-dir", *words]
    done = subprocess.run(command, env=plain(), cwd=programs, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def installed(programs) -> str:
    words = [programs / "traceml-agent", "--version"]
    return subprocess.run(words, env=plain(), cwd=programs, capture_output=True, text=True, check=True).stdout.strip()


def plain() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    return kept | {"PIP_CONFIG_FILE": os.devnull}


@pytest.mark.django_db
def test_the_line_of_the_start_page_installs_the_agent(portal, programs, client, people, settings):
    settings.TRACEML_BASE_URL = portal
    client.force_login(people.alice)
    line = Page(client.get("/start/")).by_id("install").text.partition(" export")[0]
    program, verb, *what = shlex.split(line)
    assert (program, verb) == ("pip", "install")
    pip(programs, "--no-index", *what)
    assert installed(programs) == f"traceml-agent {__version__}"


DOCUMENTED = blocks("README.md", "sh") + blocks("agent/README.md", "sh")
DOCUMENTED += blocks("docs/install.md", "sh") + blocks("docs/quickstart.md", "sh")
LINES = {line for code in DOCUMENTED for line in code.splitlines() if line.startswith("pip install")}


@pytest.mark.parametrize("line", sorted(LINES))
def test_the_line_of_a_document_installs_the_agent(portal, programs, line):
    for example in ("http://127.0.0.1:8000", "https://traceml.example"):
        line = line.replace(example, portal)
    pip(programs, "--no-index", "--force-reinstall", *shlex.split(line)[2:])
    assert installed(programs) == f"traceml-agent {__version__}"


def test_the_index_serves_tools_that_can_tie_a_package_to_one_index(portal, programs):
    pip(programs, "--force-reinstall", "--index-url", f"{portal}/agent/simple/", "traceml-agent")
    assert installed(programs) == f"traceml-agent {__version__}"
