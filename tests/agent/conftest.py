"""What the agent's tests share: a home without settings, a portal that can fail."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.agent.spooling import pid_of
from tests.fakes.nvml import gpus, library  # noqa: F401 (fixtures)
from tests.fakes.portal import FakePortal
from tests.fakes.powercap import powercap  # noqa: F401 (a fixture)
from traceml_agent import messages
from traceml_agent.delivery import uploader
from traceml_agent.host import private
from traceml_agent.inputs import config


@pytest.fixture(autouse=True, scope="session")
def interruptible():
    """A shell's background job ignores Ctrl-C, and so would every process that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder of the test's own: all places that a spool may lie in are below it."""
    folder = tmp_path / "home"
    (folder / "memory").mkdir(parents=True)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("TRACEML_AGENT_MEMORY", str(folder / "memory"))
    monkeypatch.setattr(private, "MEMORY_FOLDER", str(folder / "memory"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(messages, "_said", {})
    return folder


@pytest.fixture
def portal(tmp_path_factory):
    """A portal in another process, which can be made to fail."""
    with FakePortal(tmp_path_factory.mktemp("portal")) as fake:
        yield fake


@pytest.fixture
def settings(home, portal, tmp_path):
    """Settings of an agent that reports to the fake portal."""
    return config.load(url=portal.url, token=portal.token, spool_dir=tmp_path / "spool")


@pytest.fixture
def place(settings):
    """The folder of the spool."""
    return Path(settings.spool_dir)


@pytest.fixture
def launch():
    """Launch uploaders; what is left of them at the end of the test is killed."""
    launched = []

    def start(settings) -> uploader.Uploader:
        launched.append(uploader.launch(settings))
        pid_of(launched[-1])
        return launched[-1]

    yield start
    for each in launched:
        pid = pid_of(each)
        each.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def client(settings):
    """A client of the fake portal."""
    from traceml_agent.delivery.client import Client

    return Client(settings)


@pytest.fixture
def all_watched():
    """What a run would keep of its watched objects."""
    return []


@pytest.fixture
def watch(all_watched):
    """`watch` for that run."""
    from traceml_agent.watch import _counted

    return lambda model: _counted(model, all_watched)


@pytest.fixture
def counts(all_watched):
    """Calls and items so far by method, of everything watched."""
    return lambda: {row["method"]: (row["calls"], row["items"]) for each in all_watched for row in each.calls()}
