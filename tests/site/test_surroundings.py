"""The suite may run where its user has a portal, a token and runs of her own waiting: it touches none of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.spooling import whole
from tests.fakes.portal import FakePortal
from traceml_agent.inputs import config

ROOT = Path(__file__).resolve().parents[2]
#: Tests that take settings and spool from their surroundings, in their own process and in others.
PART = [
    "tests/agent/commands/test_cli.py::test_doctor_says_what_is_wrong_and_exits_with_it",
    "tests/agent/commands/test_cli.py::test_sync_without_a_portal_says_what_to_do",
    "tests/agent/commands/test_cli.py::test_a_terminal_shows_a_bar_while_many_runs_are_delivered",
    "tests/agent/commands/test_cli.py::test_login_keeps_a_token_that_the_portal_knows_for_its_user_alone",
    "tests/agent/inputs/test_config.py",
    "tests/agent/commands/test_export.py",
    "tests/agent/test_readme.py::test_an_example_runs_as_it_stands",
    "tests/agent/spool/test_folder.py",
    "tests/agent/delivery/test_uploader.py::test_a_run_arrives_where_no_disk_can_be_written",
    "tests/screens/start/test_start.py::test_the_snippet_for_python_runs_as_it_stands",
    "tests/whole/test_path.py::test_a_token_that_the_portal_does_not_know_changes_nothing_and_keeps_the_spool",
]


@pytest.fixture
def portal(tmp_path):
    """Her portal."""
    with FakePortal(tmp_path) as fake:
        yield fake


@pytest.fixture
def hers(tmp_path, portal) -> dict[str, str]:
    """Her environment: a login, runs that wait in every place that a spool may lie in, settings in every place too."""
    home = tmp_path / "home"
    places = {name: home / path for name, path in (("TMPDIR", "tmp"), ("TRACEML_AGENT_MEMORY", "memory"))}
    spools = [place / f"traceml-{os.getuid()}" for place in places.values()]
    spools += [home / ".local/state/traceml", home / "state/traceml", home / "spool"]
    for number, place in enumerate(spools):
        whole(place, portal=portal.url if number % 2 else "")
    login = f'url = "{portal.url}"\ntoken = "{portal.token}"\n'
    for file in (home / ".config/traceml/agent.toml", home / "config/traceml/agent.toml", home / config.PROJECT_FILE):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(login)
    settings = {
        "URL": portal.url,
        "TOKEN": portal.token,
        "SPOOL_DIR": str(home / "spool"),
        "STRICT": "1",
        "RUN_ID": "hers",
    }
    folders = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}
    proxies = {"http_proxy": portal.url, "HTTPS_PROXY": portal.url}
    return (
        {name: str(place) for name, place in places.items()}
        | {f"{config.PREFIX}{name}": value for name, value in settings.items()}
        | folders
        | proxies
    )


def everything(folder) -> dict[str, tuple]:
    """Every file and folder below, with its content, owner's rights and the time of its last change."""
    found = {path: path.lstat() for path in folder.rglob("*") if "tml-" not in str(path.relative_to(folder))}
    return {
        str(path): (status.st_mode, status.st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path, status in found.items()
        if path.name != "tmp"  # in which temporary files come and go
    }


def test_the_suite_leaves_its_users_spool_config_and_token_alone(hers, portal):
    home = Path(hers["HOME"])
    before = everything(home)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    tests = [str(ROOT / name) for name in PART]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | hers  # ours is in use
    done = subprocess.run(
        [*words, *tests], cwd=home, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout
    assert everything(home) == before
    assert portal.requests() == []
    assert list((home / "tmp").glob("tml-*")) == []
