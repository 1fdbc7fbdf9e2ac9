"""A script that tracks itself and is started by `traceml-agent run`: both are one run, and the script tells of it."""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from traceml_agent.delivery.delivery import merged
from traceml_agent.spool import recording


@pytest.fixture
def agent(tmp_path):
    def call(*words):
        environment = os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}
        words = [sys.executable, "-m", "traceml_agent", *words]
        return subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, timeout=60, check=False)

    return call


@pytest.fixture
def records(tmp_path):
    """Bodies of the spool's records of a kind."""

    def read(kind):
        files = sorted((tmp_path / "spool").glob("*.spool"))
        everything = [record for file in files for _, record in recording.read(str(file)) if record]
        return [record["body"] for record in everything if record["type"] == kind]

    return read


SCRIPT = """
import traceml_agent
with traceml_agent.track("resnet-50", kind="finetuning", name="night", params={"lr": 0.1}) as run:
    for epoch in run.epochs(range(2)):
        run.log(loss=epoch)
    run.log_params(seed=7)
    traceml_agent.current_run().log(accuracy=0.9)
"""


def test_a_script_under_run_tells_of_itself_in_the_one_run(agent, records, tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    agent("run", "--", sys.executable, "train.py")
    assert len({header["writer"] for header in records("header")}) == 1
    assert [finish["status"] for finish in records("finish") if "status" in finish] == ["completed"]
    told = merged(records("update"))
    assert told["about"].pop("environment")["python"]
    assert told["about"] == {
        "model": "resnet-50",
        "kind": "finetuning",
        "name": "night",
        "params": {"lr": 0.1, "seed": 7},
    }
    assert [metric["name"] for metric in told["metrics"]] == ["loss", "loss", "accuracy"]
    assert [(stage["name"], stage["total"]) for stage in told["stages"]] == [("epoch 1", 2), ("epoch 2", 2)]


def test_what_is_said_to_run_counts_more_than_what_its_script_says(agent, records, tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    agent("run", "--model", "mine", "--kind", "training", "--", sys.executable, "train.py")
    assert set(merged(records("update"))["about"]) == {"name", "params", "environment"}


def test_a_command_that_fails_has_failed_by_its_scripts_exception(agent, records, tmp_path):
    (tmp_path / "train.py").write_text("""
import traceml_agent
try:
    with traceml_agent.track("resnet-50"):
        [][0]
except IndexError:
    pass
with traceml_agent.track("resnet-50"):
    1 / 0
""")
    assert agent("run", "--", sys.executable, "train.py").returncode == 1
    assert [finish["exception"] for finish in records("finish") if "exception" in finish] == ["ZeroDivisionError"]


def test_a_budget_of_a_script_under_run_is_kept_to(agent, tmp_path):
    (tmp_path / "train.py").write_text("""
import time, traceml_agent
with traceml_agent.track("resnet-50", budget_kwh=1e-9, on_budget="stop") as run:
    for epoch in run.epochs(range(100)):
        time.sleep(0.2)
    print(epoch < 99, run.over_budget)
""")
    done = agent("run", "--", sys.executable, "train.py")
    assert done.stdout == b"True True\n"
    assert b"over budget" in done.stderr


def test_packages_are_those_of_the_script_and_those_that_it_loads_later(agent, records, tmp_path):
    for name in ("lightgbm", "optuna", "xgboost"):
        (tmp_path / f"{name}.py").write_text("__version__ = '9.9'")
    (tmp_path / "train.py").write_text("""
import lightgbm, traceml_agent
with traceml_agent.track("resnet-50"):
    import optuna
""")
    agent("run", "--", sys.executable, "train.py")
    told = merged(records("update"))["about"]["environment"]
    assert (told["lightgbm"], told["optuna"]) == ("9.9", "9.9")
    assert "xgboost" not in told


def test_a_script_under_run_may_ask_for_all_that_a_run_knows(agent, tmp_path):
    (tmp_path / "train.py").write_text("""
import json, subprocess, sys, time, traceml_agent
with traceml_agent.track("resnet-50") as run:
    run.log(samples=300)
    other = "import traceml_agent; traceml_agent.current_run().log(samples=100)"
    subprocess.run([sys.executable, "-c", other], check=True)
    time.sleep(1)
    print(json.dumps([run.summary, run.over_budget, run.budget.stops, run.is_open, bool(run), run.rank]))
""")
    done = agent("run", "--", sys.executable, "train.py")
    summary, *others = json.loads(done.stdout)
    assert others == [False, False, True, True, 0]
    assert summary["work"]["samples"]["count"] == 400
    assert summary["work"]["samples"]["kwh_per_1000"] == pytest.approx(summary["energy_kwh"] / 0.4)
    assert summary["left_out"] == []


def test_a_signal_that_comes_just_before_it_waits_reaches_the_command(tmp_path):
    """A scheduler's SIGTERM on a busy node: Python would only look at it when the wait for the command is over."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the busy machine can't be made")
    source = Path(__file__).parents[2] / "fakes" / "late_waitpid.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "late.so", source], check=True)
    command = ["env", "-u", "LD_PRELOAD", "sh", "-c", "trap 'exit 5' TERM; echo ready; sleep 9 & wait"]
    environment = {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path), "HOME": str(tmp_path), "LD_PRELOAD": tmp_path / "late.so"}
    words = [sys.executable, "-m", "traceml_agent", "run", "--", *command]
    process = subprocess.Popen(words, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == b"ready\n"
    began_s = time.monotonic()
    process.terminate()
    assert process.wait(timeout=60) == 5
    assert time.monotonic() - began_s < 8.0
    process.stdout.close()


LAUNCHER = "import os, signal, sys; {}; os.execvp(sys.argv[1], sys.argv[1:])"
HIDES = {
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})",
    "ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
}


@pytest.mark.parametrize("hides", HIDES.values(), ids=HIDES)
def test_it_sees_its_command_end_although_the_launcher_hides_the_end_of_children(tmp_path, hides):
    """srun and mpirun start tasks with SIGCHLD blocked, some servers ignore it: wrappers that wait for it hang."""
    code = "import signal, sys, time; time.sleep(0.5); print(signal.pthread_sigmask(signal.SIG_BLOCK, ())); sys.exit(3)"
    run = [sys.executable, "-m", "traceml_agent", "run", "--", sys.executable, "-c", code]
    environment = os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path), "HOME": str(tmp_path)}
    how = {"env": environment, "capture_output": True, "timeout": 60, "check": False}
    launch = [sys.executable, "-c", LAUNCHER.replace("{}", hides)]
    alone, measured = subprocess.run([*launch, *run[5:]], **how), subprocess.run([*launch, *run], **how)
    assert (measured.returncode, measured.stdout) == (alone.returncode, alone.stdout)
    assert measured.returncode == 3


def test_ctrl_z_stops_the_command_and_fg_goes_on_with_both(tmp_path):
    """The shell only knows the agent's process: it stops if the command does, and its status is the command's."""
    shell, terminal = pty.fork()
    if shell == 0:
        words = {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path), "HOME": str(tmp_path), "PS1": "", "ENV": ""}
        os.execvpe("sh", ["sh", "-i"], os.environ | words)

    def says(text: str) -> bool:
        said, until = "", time.monotonic() + 30
        while text not in said and select.select([terminal], [], [], until - time.monotonic())[0]:
            said += os.read(terminal, 4096).decode()
        return text in said

    (tmp_path / "train.py").write_text("""
import pathlib, sys, time
print("begun", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.1)
print("ended", flush=True)
sys.exit(7)
""")
    words = [sys.executable, "-m", "traceml_agent", "run", "--", sys.executable, "train.py"]
    os.write(terminal, f"cd {tmp_path}; {' '.join(words)}\n".encode())
    assert says("begun")
    os.write(terminal, b"\x1a")
    assert says("Stopped")
    (tmp_path / "go").touch()
    os.write(terminal, b"fg\n")
    assert says("ended")
    os.write(terminal, b"echo status $?; exit\n")
    assert says("status 7")
    os.close(terminal)
    os.waitpid(shell, 0)
