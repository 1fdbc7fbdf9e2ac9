"""A user's script in an environment with the real packages (`make setup-integrations`), against a portal on this
machine.

The fixtures are those of the cases, with another interpreter: `run(code)` plays a script to its end, `start(code)`
begins one, `arrived()` waits for its runs. What a script is to tell the test beside its run, it prints.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.agent.conftest import interruptible  # noqa: F401 (a session fixture)
from tests.cases.conftest import (  # noqa: F401 (fixtures)
    arrived,
    environment,
    environment_in,
    place,
    portal,
    processes,
    run,
    start,
)
from tests.fakes.portal import ROOT, FakePortal

#: The interpreter that has the packages of tests/integrations/requirements.txt.
PYTHON = Path(os.environ.get("INTEGRATIONS_PYTHON", ROOT / ".venv-integrations" / "bin" / "python"))
#: More threads only wait for each other where other tests run beside.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
#: A script that hangs; one with Ray takes 40 s alone, and 200 s where every core has three others to serve.
STORY_S = 420
#: No usage statistics to MLflow's makers.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture
def interpreter():
    if not PYTHON.exists():
        pytest.fail("Run `make setup-integrations` first: these tests use the real packages.")
    return str(PYTHON)


@pytest.fixture(autouse=True)
def one_thread(request):
    if "environment" in request.fixturenames:
        request.getfixturevalue("environment").update(ONE_THREAD)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Plays one long script for several tests, since loading a framework takes seconds: what it printed, as pairs of a
    word and the rest of the line, and its runs by their name (or their model's) and, if it is no training, the kind.

    A second run of the same name and kind is `…, again`."""

    def play(code: str, runs: int, line="python train.py", **more: str) -> tuple[dict[str, str], dict[str, dict]]:
        folder = tmp_path_factory.mktemp("story")
        (folder / "portal").mkdir()
        (folder / "train.py").write_text(code)
        with FakePortal(folder / "portal") as fake:
            settings = environment_in(folder, fake) | ONE_THREAD | more
            settings["PATH"] = f"{PYTHON.parent}:{settings['PATH']}"
            words = ["bash", "-c", line]
            played = subprocess.run(words, env=settings, cwd=folder, capture_output=True, text=True, timeout=STORY_S)
            assert played.returncode == 0, played.stderr
            fake.wait_for(lambda p: len([r for r in p.runs().values() if r["finishes"]]) >= runs, 20)
            stored = list(fake.runs().values())
        named: dict[str, dict] = {}
        for each in sorted(stored, key=lambda each: each["headers"][0]["started_at"]):
            name = _name(each["headers"][-1])
            named[f"{name}, again" if name in named else name] = each
        assert len(named) == len(stored) == runs, list(named)
        return dict(line.split(" ", 1) for line in played.stdout.splitlines() if " " in line), named

    return play


def _name(header: dict) -> str:
    is_training = header["kind"] in ("training", "finetuning")
    return (header["name"] or header["model"]) + ("" if is_training else f", {header['kind']}")


@pytest.fixture
def portal_down(portal):  # noqa: F811
    """The portal refuses connections; the spool keeps what a script reports."""
    portal.stop()
    return portal


@pytest.fixture(scope="session")
def empty_mlflow_database(tmp_path_factory):
    """MLflow takes seconds to make its tables."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    code = f"import mlflow; mlflow.set_tracking_uri('sqlite:///{path}'); mlflow.search_experiments()"
    subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, env={"PATH": os.environ["PATH"], **QUIET})
    return path


@pytest.fixture
def mlflow_database(empty_mlflow_database, environment, tmp_path):  # noqa: F811
    """MLflow's tracking database of a person who has no server; gives its address."""
    path = shutil.copy(empty_mlflow_database, tmp_path / "mlflow.db")
    environment.update(QUIET, MLFLOW_TRACKING_URI=f"sqlite:///{path}")
    return environment["MLFLOW_TRACKING_URI"]
