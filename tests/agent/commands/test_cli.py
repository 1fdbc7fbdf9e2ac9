"""The command line, as a shell calls it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from traceml_agent.commands.program import model_of
from traceml_agent.host.endings import of_exit_code
from traceml_agent.spool import recording

AGENT = [sys.executable, "-m", "traceml_agent"]


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}


@pytest.fixture
def agent(environment, tmp_path):
    def call(*words, given=None):
        return subprocess.run(
            [*AGENT, *words], env=environment, cwd=tmp_path, input=given, capture_output=True, timeout=60, check=False
        )

    return call


@pytest.fixture
def records(tmp_path):
    def read(kind):
        files = sorted((tmp_path / "spool").glob("*.spool"))
        everything = [record for file in files for _, record in recording.read(str(file)) if record]
        return [record["body"] for record in everything if record["type"] == kind]

    return read


def test_run_keeps_exit_code_and_bytes(agent, records):
    given = bytes(range(256)) * 50
    done = agent("run", "--model", "digits", "--", "sh", "-c", "cat; exit 7", given=given)
    assert (done.returncode, done.stdout) == (7, given)
    assert [header["model"] for header in records("header")] == ["digits"]
    assert [(f["status"], f["exception"]) for f in records("finish")] == [("failed", "exit status 7")]


def test_run_measures_the_command_not_itself(agent, records):
    burn = "import time\nwhile time.process_time() < 1: pass"
    agent("run", "--", sys.executable, "-c", burn)
    (finish,) = records("finish")
    (device,) = [d for d in finish["devices"] if d["kind"] == "cpu"]
    (sample,) = [s for s in finish["samples"] if s["device"] == device["key"]]
    assert sample["busy_s"] * device["cores"] == pytest.approx(1.05, abs=0.3)


def test_run_dies_of_the_signal_that_the_command_died_of(agent, records):
    done = agent("run", "--", "sh", "-c", "kill -KILL $$")
    assert done.returncode == -signal.SIGKILL
    assert [finish["exception"] for finish in records("finish")] == ["SIGKILL"]


def test_run_passes_a_signal_on_and_ends_as_the_command_does(environment, tmp_path, records):
    words = [*AGENT, "run", "--", "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 5
    assert [finish["exception"] for finish in records("finish")] == ["exit status 5"]


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        ("no-such-command-here", 127, "command not found"),
        ("./no/such/path", 127, "No such file or directory"),
        ("/etc/passwd", 126, "Permission denied"),
        ("/etc", 126, "Is a directory"),
        ("./dangling", 127, "link to a file that does not exist"),
        ("train.py", 127, "command not found; to run a Python script: python train.py"),
        ("./train.py", 126, "Permission denied; to run a Python script: python ./train.py"),
        ("start", 127, "command not found; to run the file in this folder: ./start"),
        ("", 127, "command not found"),
    ],
)
def test_run_refuses_what_is_no_command_before_a_run_is_made(agent, tmp_path, word, code, said):
    for name in ("train.py", "start"):
        (tmp_path / name).write_text("pass")
    (tmp_path / "start").chmod(0o755)
    (tmp_path / "dangling").symlink_to("nowhere")
    done = agent("run", "--", word)
    assert (done.returncode, done.stderr.decode()) == (code, f"traceml-agent: {word}: {said}\n")
    assert not list((tmp_path / "spool").glob("*.spool"))


def test_run_looks_for_a_command_where_the_environment_says(agent, environment, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mine").write_text("#!/bin/sh\nexit 6\n")
    (tmp_path / "bin" / "mine").chmod(0o755)
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    assert agent("run", "--", "mine").returncode == 6


def test_a_command_that_the_system_refuses_to_start_is_a_failed_run(agent, records, tmp_path):
    (tmp_path / "odd").write_bytes(b"\x00no format that a kernel knows")
    (tmp_path / "odd").chmod(0o755)
    done = agent("run", "--", "./odd")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (126, b"traceml-agent: ./odd: Exec format error")
    assert [(end["status"], end["exception"]) for end in records("finish")] == [("failed", "OSError")]


@pytest.mark.parametrize(
    ("status", "kind", "ended"),
    [
        (0, "training", ("completed", "")),
        (3, "training", ("failed", "exit status 3")),
        (-signal.SIGTERM, "training", ("stopped", "SIGTERM")),
        (-signal.SIGHUP, "training", ("stopped", "SIGHUP")),
        (-signal.SIGINT, "training", ("cancelled", "SIGINT")),
        (130, "training", ("cancelled", "SIGINT")),
        (143, "training", ("stopped", "SIGTERM")),
        (-signal.SIGKILL, "training", ("failed", "SIGKILL")),
        (-signal.SIGSEGV, "inference", ("failed", "SIGSEGV")),
        (-40, "training", ("failed", "signal 40")),
        (-signal.SIGTERM, "inference", ("completed", "")),
        (-signal.SIGINT, "inference", ("completed", "")),
        (1, "inference", ("failed", "exit status 1")),
    ],
)
def test_how_a_command_ended_is_told_by_its_status_and_what_it_was(status, kind, ended):
    assert of_exit_code(status, kind) == ended


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("python train.py --epochs 9", "train"),
        ("python3.11 -u -X dev /srv/jobs/train.py", "train"),
        ("python -m pkg.train --model x", "pkg.train"),
        ("/venv/bin/python /venv/bin/uvicorn app:app", "uvicorn"),
        ("python -W ignore serve", "serve"),
        ("torchrun --nproc_per_node 2 train.py", "train"),
        ("env SEED=1 python train.py", "train"),
        ("python", "python"),
        ("python -c pass", "python"),
        ("/usr/bin/ollama serve", "ollama"),
        ("./llama.cpp-server", "llama.cpp-server"),
        ("./train.sh", "train"),
        ("-bash", "bash"),
        ("", ""),
    ],
)
def test_a_model_that_nobody_named_is_called_after_its_script_module_or_program(words, name):
    assert model_of(words.split()) == name


@pytest.mark.parametrize(
    ("code", "name"),
    [("cd jobs && python 'my/train.py' --lr 1; echo", "train"), ("./a.out", "sh"), ("i=$(date)", "sh")],
)
def test_a_script_is_found_in_what_a_shell_is_told(code, name):
    assert model_of(["/bin/sh", "-c", code]) == name


def test_doctor_names_every_device_with_method_and_why(agent):
    done = agent("doctor", "--json", "--quick")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["ok"]
    devices = {device["key"]: device for device in found["devices"]}
    assert devices["cpu-0"]["method"] in ("CPU time", "RAPL, the job's part")
    assert all(device[word] for device in devices.values() for word in ("name", "quality", "why", "basis"))


def test_doctor_says_what_is_wrong_and_exits_with_it(agent, environment):
    environment |= {"TRACEML_AGENT_URL": "http://127.0.0.1:9", "TRACEML_AGENT_TOKEN": "tml_x"}
    done = agent("doctor", "--quick")
    assert done.returncode == 1
    assert "NOT OK  portal: http://127.0.0.1:9" in done.stdout.decode()
    assert b"tml_x" not in done.stdout + done.stderr


def test_doctor_and_login_pass_on_what_the_portal_says_of_the_agents_version(agent, environment, portal):
    environment |= {"TRACEML_AGENT_URL": portal.url, "TRACEML_AGENT_TOKEN": portal.token}
    portal.mode("notice:traceml-agent is older than this portal. Update: pip install x")
    told = "accepts the token. traceml-agent is older than this portal. Update: pip install x"
    assert told in agent("doctor", "--quick").stdout.decode()
    login = agent("login", portal.url, "--token-stdin", given=portal.token.encode())
    assert (login.returncode, b"older than this portal" in login.stderr) == (0, True)


def test_doctor_measures_for_five_seconds_and_sees_its_own_load(agent):
    found = json.loads(agent("doctor", "--json").stdout)
    tested = {finding["subject"]: finding for finding in found["findings"]}
    assert {"processor", "readings", "energy", "clock", "record"} < set(tested)
    assert [finding for finding in tested.values() if not finding["ok"]] == []


def test_sync_without_a_portal_says_what_to_do(agent):
    done = agent("sync")
    assert done.returncode == 1
    assert b"traceml-agent login" in done.stderr


def test_a_terminal_shows_a_bar_while_many_runs_are_delivered(environment, agent, portal):
    environment |= {"TRACEML_AGENT_URL": portal.url, "TRACEML_AGENT_TOKEN": ""}
    for _ in range(3):
        agent("run", "--", "true")
    environment |= {"TRACEML_AGENT_TOKEN": portal.token}
    ours, theirs = pty.openpty()
    done = subprocess.run([*AGENT, "sync"], env=environment, stderr=theirs, stdout=subprocess.PIPE, check=False)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert (done.returncode, done.stdout) == (0, b"")
    assert "3 of 3" in shown.rpartition("\r[")[2]
    assert len(portal.runs()) == 3


def test_login_keeps_a_token_that_the_portal_knows_for_its_user_alone(agent, portal, tmp_path):
    done = agent("login", portal.url, "--token-stdin", given=portal.token.encode())
    (kept,) = tmp_path.rglob("*.toml")
    assert (done.returncode, kept.stat().st_mode & 0o777) == (0, 0o600)
    assert portal.token in kept.read_text()
    assert portal.token.encode() not in done.stdout + done.stderr


def test_login_keeps_nothing_that_the_portal_refuses(agent, portal, tmp_path):
    portal.mode("401")
    done = agent("login", portal.url, "--token-stdin", given=b"tml_wrong")
    assert done.returncode == 1
    assert b"did not accept the token" in done.stderr
    assert list(tmp_path.rglob("*.toml")) == []


def test_login_without_a_terminal_says_how_to_give_the_token(agent, portal):
    done = agent("login", portal.url, given=b"")
    assert done.returncode == 2
    assert b"--token-stdin" in done.stderr


def test_run_leaves_what_is_ignored_ignored_as_under_nohup(environment):
    words = [*AGENT, "run", "--", "sh", "-c", "kill -HUP $$; echo alive"]
    nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *words]
    done = subprocess.run(nohup, env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"alive\n")


def test_run_passes_on_descriptors_that_a_shell_opened_for_the_command(environment):
    words = [*AGENT, "run", "--", "sh", "-c", "cat <&7"]
    given = ["sh", "-c", 'exec 7<<END\nseven\nEND\nexec "$@"', "sh", *words]
    done = subprocess.run(given, env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"seven\n")


def test_a_closed_stdout_is_not_mistaken_for_a_file(environment, records):
    words = ["sh", "-c", 'exec "$@" >&-', "sh", *AGENT, "run", "--", "sh", "-c", "echo lost 2>/dev/null; exit 3"]
    assert subprocess.run(words, env=environment, timeout=60, check=False).returncode == 3
    assert [finish["exception"] for finish in records("finish")] == ["exit status 3"]


def test_a_full_disk_behind_stdout_is_a_sentence(environment):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*AGENT, "estimate", "--gpu", "T4", "--hours", "1"], env=environment, stdout=full, stderr=subprocess.PIPE
        )
    assert (done.returncode, b"Traceback" in done.stderr, done.stderr.count(b"\n")) == (1, False, 1)


def test_a_reader_that_has_seen_enough_ends_it_quietly(environment):
    words = [*AGENT, "estimate", "--gpu", "T4", "--hours", "1"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait(timeout=30)


def test_every_command_has_help(agent):
    for command in ("run", "sync", "doctor", "login", "watch", "estimate", "export"):
        assert agent(command, "--help").returncode == 0


def test_a_command_that_is_interrupted_by_the_terminal_is_waited_for(environment, records):
    """Ctrl-C reaches the whole group: the command decides what it does, and the run is still written."""
    code = (
        "import sys, time\ntry:\n    print('ready', flush=True)\n    [time.sleep(0.1) for _ in range(600)]\n"
        "except KeyboardInterrupt:\n    sys.exit(9)"
    )
    words = [*AGENT, "run", "--", sys.executable, "-c", code]
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdout.readline() == b"ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 9
    assert [finish["exception"] for finish in records("finish")] == ["exit status 9"]
