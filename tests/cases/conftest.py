"""What the cases share: a person's machine with a portal, scripts that run on it, and what is left of them.

Every case is a situation from a public report about a tool of this kind, told in the test's docstring and played with
real processes. docs/cases.md lists them all.
"""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from tests.agent.conftest import interruptible  # noqa: F401 (a session fixture)
from tests.fakes.portal import ROOT, FakePortal


@pytest.fixture
def portal(tmp_path):
    folder = tmp_path / "portal"
    folder.mkdir()
    with FakePortal(folder) as fake:
        yield fake


@pytest.fixture
def environment(tmp_path, portal):
    return environment_in(tmp_path, portal)


def environment_in(folder: Path, portal: FakePortal) -> dict[str, str]:
    """The variables of a person who has set up the agent; nothing of whoever runs the tests."""
    home, memory = folder / "home", folder / "memory"
    home.mkdir()
    memory.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "TRACEML_AGENT_MEMORY": str(memory),
        "PYTHONPATH": str(ROOT / "agent" / "src"),
        "TRACEML_AGENT_URL": portal.url,
        "TRACEML_AGENT_TOKEN": portal.token,
        "TRACEML_AGENT_SPOOL_DIR": str(folder / "spool"),
    }


@pytest.fixture
def place(environment):
    """The folder of the spool."""
    return Path(environment["TRACEML_AGENT_SPOOL_DIR"])


@pytest.fixture
def processes(environment):
    """All living processes that come from this case's scripts, whoever is their parent by now."""
    mark = environment["TRACEML_AGENT_SPOOL_DIR"]

    def find() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TRACEML_AGENT_SPOOL_DIR") == mark:
                    found.append(process)
        return found

    yield find
    for process in find():
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


@pytest.fixture
def interpreter():
    return sys.executable


@pytest.fixture
def start(environment, tmp_path, processes, interpreter):
    """Starts a script in a process of its own: `before` are words before the interpreter, `options` its own."""

    def script(code, *arguments, before=(), options=(), cwd=tmp_path, **more):
        words = [*before, interpreter, *options, "-c", textwrap.dedent(code), *arguments]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(words, env=environment | more, cwd=cwd, **streams)

    return script


@pytest.fixture
def run(start):
    """What a script printed to stdout and stderr; it ends well."""

    def script(code, *arguments, seconds=60, **how):
        process = start(code, *arguments, **how)
        out, err = process.communicate(timeout=seconds)
        assert process.returncode == 0, err
        return out, err

    return script


@pytest.fixture
def arrived(portal):
    """Waits for so many runs to have arrived whole, and gives them."""

    def wait(count=1, seconds=30.0) -> list[dict]:
        portal.wait_for(lambda p: len([r for r in p.runs().values() if r["finishes"]]) >= count, seconds)
        runs = list(portal.runs().values())
        assert len(runs) == count
        return runs

    return wait


def metrics(stored: dict) -> dict[str, list[float]]:
    """The values of each metric of a run, in the order of their arrival."""
    found: dict[str, list[float]] = {}
    for batch in stored["batches"].values():
        for row in batch.get("metrics", []):
            found.setdefault(row["name"], []).append(row["value"])
    return found


def calls(stored: dict) -> int:
    """How often watched models were called: of each writer and method the last count."""
    found: dict[tuple, int] = {}
    for batch in stored["batches"].values():
        for row in batch.get("calls", []):
            key = batch["writer"], row["method"]
            found[key] = max(row["calls"], found.get(key, 0))
    return sum(found.values())


def status(stored: dict) -> str:
    return stored["finishes"][-1]["status"]


def last_t_s(stored: dict) -> float:
    """How far into the run its counters reach, the finish's among them."""
    rows = stored["samples"] + [row for finish in stored["finishes"] for row in finish.get("samples", [])]
    return max((row["t_s"] for row in rows), default=0.0)
