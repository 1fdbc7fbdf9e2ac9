"""Machines and interpreters as they are: limits reached, streams closed, folders swept away, odd numbers logged."""

import os
import shutil
import stat
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from tests.cases.conftest import last_t_s, metrics, status
from tests.fakes.portal import ROOT
from traceml_agent.spool import recording

PACKAGE = ROOT / "agent" / "src" / "traceml_agent"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_nobody_elses(environment, processes, arrived, tmp_path, closed):
    """Service managers start programs with a standard stream closed: the next file that is opened takes its number,
    and what a C library prints, or a command reads, goes to or comes from that file. None of ours ever takes it."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, subprocess, time
        from traceml_agent import track
        taken = []
        with track("x") as run:
            time.sleep(0.5)
            for number in range(3):
                try:
                    taken.append(os.readlink(f"/proc/self/fd/{number}"))
                    os.write(number, b"from a C library\\n")
                except OSError:
                    pass
            run.log(loss=1)
            time.sleep(1)
        with open("taken", "w") as file:
            file.write("\\n".join(taken))
        """)
    )
    with (tmp_path / "log").open("w") as log:
        words = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, str(script)]
        subprocess.run(words, env=environment, cwd=tmp_path, check=True, timeout=30, stdout=log, stderr=log)
    taken = (tmp_path / "taken").read_text()
    assert [name for name in ("spool", "socket:", "/proc/") if name in taken] == []
    (stored,) = arrived()
    assert metrics(stored) == {"loss": [1.0]}
    assert status(stored) == "completed"


def test_names_in_no_encoding_are_no_hindrance(run, processes, arrived, tmp_path, environment):
    """A home whose name is in an old encoding, under the plain C locale of a batch job: loggers fail to encode a path
    or a message. The run arrives, the line at the end is readable."""
    home = os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller \xe2\x82\xac")
    Path(home).mkdir()
    environment.pop("TRACEML_AGENT_SPOOL_DIR")
    _, err = run(
        "import traceml_agent\nwith traceml_agent.track('M\\u00fcller') as run: run.log(loss=1)",
        cwd=home,
        HOME=home,
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        ODD=os.fsdecode(b"\xff\xfe"),
    )
    assert "Traceback" not in err
    (stored,) = arrived()
    assert metrics(stored) == {"loss": [1.0]}
    assert (Path(home) / ".local" / "state" / "traceml").is_dir()


@pytest.fixture
def finished(place):
    """Gives the models of the runs in the spool that have their end."""

    def models() -> set[str]:
        files = [[record for _, record in recording.read(str(path)) if record] for path in place.glob("*.spool")]
        return {records[0]["body"]["model"] for records in files if records[-1]["type"] == "finish"}

    return models


def test_without_a_descriptor_left_the_training_goes_on_and_the_run_is_kept(run, processes, finished, portal):
    """Data loaders that use every descriptor of a low limit: a tracker's start or log raises "too many open files",
    or stops writing for good. Nothing raises, and the run is whole once descriptors are free, or is said to be lost."""
    out, err = run("""
        import os, resource, time
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        from traceml_agent import track
        with track("warm"):
            time.sleep(0.5)
        taken = []
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        with track("x") as run:
            run.log(loss=1)
            time.sleep(1.5)
            for each in taken:
                os.close(each)
            run.log(loss=2)
            time.sleep(1.5)
        print("trained")
    """)
    assert out == "trained\n"
    assert "Traceback" not in err
    kept = {stored["headers"][0]["model"] for stored in portal.runs().values() if stored["finishes"]} | finished()
    assert "x" in kept or "open files" in err


def test_without_a_thread_left_the_training_goes_on_with_a_word(run, processes, portal):
    """Login nodes and pods with a small limit of threads or memory: a monitor's thread can't start, and the training
    ends with its exception. It goes on, unmeasured if need be, and that is said."""
    out, err = run("""
        import resource, threading, time
        import psutil
        from traceml_agent import track
        with track("warm"):
            time.sleep(0.3)
        threading.stack_size(2**27)
        size = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (size + 2**25, size + 2**25))
        try:
            threading.Thread(target=print).start()
        except RuntimeError:
            print("no thread")
        with track("x") as run:
            run.log(loss=1)
            time.sleep(0.5)
        print("trained")
    """)
    assert out == "no thread\ntrained\n"
    assert "Traceback" not in err
    warned = [line for line in err.splitlines() if "thread" in line]
    assert len(warned) == 1


def test_a_package_in_a_zip_file_measures_and_reports(run, processes, arrived, tmp_path):
    """Cluster frameworks that ship a job's packages as a zip file: a library reads a data file beside its code and
    fails, for there is no such folder. The run is measured with the catalogue in it, and arrives."""
    archive = tmp_path / "packages.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in PACKAGE.rglob("*"):
            if "__pycache__" not in path.parts:
                packed.write(path, path.relative_to(PACKAGE.parent))
    out, _ = run(
        """
        import time, traceml_agent
        assert "packages.zip" in traceml_agent.__file__
        with traceml_agent.track("x") as run:
            run.log(loss=1)
            until = time.monotonic() + 1
            while time.monotonic() < until:
                pass
        print(run.summary.energy_kwh > 0)
        """,
        PYTHONPATH=str(archive),
    )
    assert out == "True\n"
    assert metrics(arrived()[0]) == {"loss": [1.0]}


def test_a_machine_where_everybody_may_write_makes_no_folder_for_everybody(run, processes, environment, arrived):
    """Containers and subsystems whose umask is 0: folders that a tool makes on its way in the home are open to every
    user. The folders that the agent makes are its user's alone, those above the spool as well."""
    environment.pop("TRACEML_AGENT_SPOOL_DIR")
    run("import os\nos.umask(0)\nimport traceml_agent\nwith traceml_agent.track('x'): pass")
    made = [path for path in Path(environment["HOME"]).rglob("*") if path.is_dir()]
    assert Path(environment["HOME"], ".local", "state", "traceml") in made
    open_to_others = [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o022]
    assert open_to_others == []
    arrived()


def test_a_suite_that_takes_every_warning_for_an_error_passes(run, processes, arrived, tmp_path):
    """Test suites that turn warnings into errors: a tracker's open socket or living helper is reported when objects
    are cleared away, and fails somebody's test. A tracked suite passes, and nothing is reported at the end."""
    (tmp_path / "test_training.py").write_text(
        "import gc, time, traceml_agent\n\n"
        "def test_training():\n"
        "    with traceml_agent.track('x') as run:\n        run.log(loss=1)\n        time.sleep(0.5)\n"
        "    del run\n    gc.collect()\n"
    )
    code = (
        "import pytest, sys\nsys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-W', 'error', 'test_training.py']))"
    )
    out, err = run(code, options=["-X", "dev", "-W", "error"])
    assert "1 passed" in out
    assert "warning" not in out.lower()
    assert "ResourceWarning" not in err
    arrived()


def test_odd_numbers_cost_themselves_alone_and_warn_of_nothing(run, processes, arrived):
    """Metrics as they come: not-a-number of a small float type, masked and missing values, arrays of one, booleans,
    exact decimals. Trackers lose the step, fail to write it as JSON, or print NumPy's warnings in the training's
    log. What is a finite number arrives; the rest is named, and no warning of somebody else appears."""
    out, err = run(
        """
        import decimal, fractions, time
        import numpy as np
        from traceml_agent import track
        with track("x") as run:
            run.log(half=np.float16(0.5), exact=decimal.Decimal("0.25"), share=fractions.Fraction(1, 8))
            run.log(scalar=np.array(2.0), flag=np.bool_(True), whole=np.int64(3), long=np.longdouble(4))
            run.log(good=1, lost=np.float32("nan"), huge=np.float16(np.inf), masked=np.ma.masked, none=None)
            run.log(good=2, complex=1j, empty=np.array([]), many=np.ones(3), text="0.5", huge=10**400)
        """,
        options=["-W", "error"],
    )
    assert out == ""
    assert "Warning" not in err
    found = metrics(arrived()[0])
    assert found["good"] == [1.0, 2.0]
    assert {name: found[name] for name in ("half", "exact", "share", "scalar", "whole", "long")} == {
        "half": [0.5],
        "exact": [0.25],
        "share": [0.125],
        "scalar": [2.0],
        "whole": [3.0],
        "long": [4.0],
    }
    assert not {"lost", "huge", "masked", "none", "complex", "empty", "many"} & set(found)
    for name in ("lost", "huge", "masked", "none", "complex", "empty", "many"):
        assert f"'{name}'" in err


def test_a_working_folder_that_is_gone_is_no_hindrance(run, processes, arrived):
    """Scratch folders that a scheduler or a test clears away while a script works in it: to ask for the working
    folder raises. The run arrives."""
    _, err = run("""
        import os, time
        os.mkdir("scratch")
        os.chdir("scratch")
        os.rmdir("../scratch")
        from traceml_agent import track
        with track("x") as run:
            run.log(loss=1)
            time.sleep(0.3)
    """)
    assert "Traceback" not in err
    assert metrics(arrived()[0]) == {"loss": [1.0]}


def test_a_spool_that_is_swept_away_costs_no_more_than_it_held(start, processes, arrived, place):
    """Cleaners of temporary folders, and people who free their disk: a tracker's folder is removed under a long
    training, and all it logs from then on goes to a file that nobody will ever see. What comes after arrives."""
    process = start("""
        import sys, time
        from traceml_agent import start
        run = start("x")
        run.log(early=1)
        time.sleep(3)
        print("ready", flush=True)
        time.sleep(2)
        run.log(late=1)
        time.sleep(1.5)
        run.stop()
    """)
    assert process.stdout.readline() == "ready\n"
    shutil.rmtree(place)
    process.communicate(timeout=30)
    assert process.returncode == 0
    (stored,) = arrived()
    assert metrics(stored)["late"] == [1.0]
    assert last_t_s(stored) == pytest.approx(6.5, abs=1.5)


def test_an_upgrade_under_a_running_training_does_no_harm(start, processes, arrived, tmp_path):
    """People install a new version of a tool while a training runs: what it loads at the end comes from the new
    version, or from nowhere, and the last hours fail. The run ends as it began, and arrives."""
    copy = tmp_path / "site"
    shutil.copytree(PACKAGE, copy / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    process = start(
        """
        import time
        from traceml_agent import start
        run = start("x")
        time.sleep(2.5)
        print("ready", flush=True)
        time.sleep(2)
        run.log(loss=1)
        print(run.stop().energy_kwh > 0)
        """,
        PYTHONPATH=str(copy),
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert process.stdout.readline() == "ready\n"
    for path in (copy / PACKAGE.name).rglob("*.py"):
        path.write_text("raise ImportError('half installed')\n")
    out, err = process.communicate(timeout=30)
    assert out == "True\n"
    assert "Traceback" not in err
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert metrics(stored) == {"loss": [1.0]}


def test_an_exception_that_a_signals_handler_raises_reaches_the_training(run, processes):
    """Time limits by a signal whose handler raises: where it strikes while a library is at work that catches
    everything, the limit is swallowed, and the script runs on. It always reaches the code that asked for it."""
    out, _ = run("""
        import signal
        from traceml_agent import track

        class TimeIsUp(Exception):
            pass

        def raises(*_):
            raise TimeIsUp

        signal.signal(signal.SIGALRM, raises)
        caught = 0
        with track("x") as run:
            for _ in range(10):
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                try:
                    for step in range(100_000):
                        run.log(loss=step)
                except TimeIsUp:
                    caught += 1
        print(caught)
    """)
    assert out == "10\n"
