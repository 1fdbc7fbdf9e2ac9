"""Where the suite runs: a home of its own. Nothing of the person who runs it is read, sent, changed or deleted.

That person may have runs waiting in a spool, a token of a real portal, settings in the environment or in a file above
the working folder. All that the agent takes from its surroundings is replaced before any test or module of the agent
is loaded, in the environment, so that it holds for every process that a test starts.
"""

import os
import shutil
import signal
import site
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PREFIX, PROJECT_FILE = "TRACEML_AGENT_", "traceml-agent.toml"  # not imported: what they name has to be gone before
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
HOMES = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
#: What tools that the tests call keep in a home folder: where it is there, they are told of it by these variables.
TOOLS = {
    "PIP_CACHE_DIR": ".cache/pip",
    "PIP_CONFIG_FILE": ".config/pip/pip.conf",
    "PLAYWRIGHT_BROWSERS_PATH": ".cache/ms-playwright",
    "PYENV_ROOT": ".pyenv",
    "PGPASSFILE": ".pgpass",
}


def replaced() -> Path:
    """Replace home, temporary folder and settings; returns the folder that holds the new ones.

    The project file in it, an empty one, ends the agent's search for one in the folders above.
    """
    folder = Path(tempfile.mkdtemp(prefix="tml-"))  # short: browsers and pools put sockets below it
    _keep_tools()
    for name in list(os.environ):
        if name.startswith(PREFIX) or name in HOMES or name.upper() in PROXIES:
            del os.environ[name]
    for variable, name in (("HOME", "home"), ("TMPDIR", "tmp"), ("TRACEML_AGENT_MEMORY", "memory")):
        (folder / name).mkdir(mode=0o700)
        os.environ[variable] = str(folder / name)
    (folder / PROJECT_FILE).touch()
    # Under nohup a hang-up is ignored, and by every process that a test starts.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".hypothesis"))
    # Processes that import these tests find them from any working folder.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return folder


def _keep_tools() -> None:
    home = Path.home()
    for variable, path in TOOLS.items():
        if (home / path).exists():
            os.environ.setdefault(variable, str(home / path))
    os.environ.setdefault("PYTHONUSERBASE", site.getuserbase())
    if proxy := os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        os.environ.setdefault("PIP_PROXY", proxy)


def removed(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
