"""The uploader's process: at once, politely, and to the end, however its parent ends. Everything in real processes."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.agent.spooling import (
    begun,
    energies,
    expected,
    finish,
    has_ended,
    is_stored,
    pid_of,
    run_id_of,
    update,
    wait_until,
    whole,
)
from tests.fakes.portal import TOKEN
from traceml_agent.delivery import uploader
from traceml_agent.delivery.delivery import Delivery
from traceml_agent.host import private
from traceml_agent.spool import folder as spool_folder

ROOT = Path(__file__).parents[3]


PARENT = """
import os, signal, sys, time
from tests.agent.spooling import begun, update, finish, pid_of
from traceml_agent.inputs import config
from traceml_agent.delivery import uploader
settings = config.load(url=sys.argv[1], token=sys.argv[2], spool_dir=sys.argv[3])
made = begun(settings.spool_dir)
handle = uploader.launch(settings)
handle.own(made.path)
"""


@pytest.fixture
def parent(settings, portal):
    """Start a process that has a run and an uploader, and does what `code` says."""

    def start(code: str) -> subprocess.Popen:
        command = [sys.executable, "-c", PARENT + code, portal.url, portal.token, settings.spool_dir]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    return start


def test_a_live_run_is_announced_at_once_and_its_samples_each_interval(place, settings, portal, launch):
    settings.take("upload_s", 2.0, "test")
    made = begun(place)
    made.append("update", update(1))
    began = time.monotonic()
    launch(settings).own(made.path)
    portal.wait_for(lambda portal: portal.runs())
    portal.wait_for(is_stored(made, 1))
    assert 1.5 < time.monotonic() - began < 20.0
    made.append("update", update(2))
    portal.wait_for(is_stored(made, 2))


def test_woken_it_delivers_at_once(place, settings, portal, launch):
    made = begun(place)
    handle = launch(settings)
    handle.own(made.path)
    portal.wait_for(lambda portal: portal.runs())
    made.append("update", update(1))
    handle.wake()
    portal.wait_for(is_stored(made, 1), seconds=settings.upload_s / 2)


def test_finish_returns_when_all_is_delivered_and_then_the_process_ends(place, settings, portal, launch):
    first, second = whole(place), begun(place)
    second.append("update", update(1))
    handle = launch(settings)
    handle.own(first.path)
    handle.own(second.path)
    assert handle.finish(10.0)
    assert is_stored(first, 3)(portal) and is_stored(second, 1)(portal)
    handle.close()
    wait_until(lambda: has_ended(pid_of(handle)))
    assert len(portal.requests()) == 5


def test_finish_waits_for_another_process_that_is_just_delivering(place, settings, portal, launch):
    made = whole(place)
    handle = launch(settings)
    with contextlib.ExitStack() as stack:
        stack.enter_context(Delivery(made.path)._sent.locked())
        handle.own(made.path)
        threading.Timer(0.7, stack.close).start()
        assert handle.finish(10.0)
    assert is_stored(made, 3)(portal)


def test_a_short_run_costs_three_requests(place, settings, portal, launch):
    made = begun(place)
    handle = launch(settings)
    handle.own(made.path)
    portal.wait_for(lambda portal: portal.runs())
    made.append("update", update(1))
    made.append("finish", finish(1))
    made.close()
    handle.wake()
    assert handle.finish(10.0)
    handle.close()
    wait_until(lambda: has_ended(pid_of(handle)))
    assert len(portal.requests()) == 3


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "exit"])
def test_what_a_killed_parent_left_is_delivered_and_the_uploader_ends(portal, parent, place, how):
    end = "os._exit(0)" if how == "exit" else f"os.kill(os.getpid(), signal.{how})"
    dead = parent(f"print(pid_of(handle), flush=True)\nfor n in 1, 2: made.append('update', dict({update(1)}))\n{end}")
    pid = int(dead.stdout.readline())
    dead.communicate()
    portal.wait_for(lambda portal: [len(energies(run)) for run in portal.runs().values()] == [2])
    wait_until(lambda: has_ended(pid))
    assert list(place.iterdir()) == []


ENDLESS = """
n = 0
while True:
    n += 1
    made.append("update", update(n)) and print(n, flush=True)
    time.sleep(0.005)
"""


def test_runs_killed_at_random_times_arrive_with_all_that_they_wrote(portal, parent, place):
    chance = random.Random(7)
    for _ in range(5):
        dead = parent(ENDLESS)
        dead.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.3))
        dead.kill()
        written = [int(line) for line in ["1", *dead.communicate()[0].split()] if line]
        portal.wait_for(
            lambda portal, least=written[-1]: any(
                energies(run)[:least] == expected(least) for run in list(portal.runs().values())[-1:]
            )
        )
    wait_until(lambda: list(place.iterdir()) == [])


def test_a_parent_is_gone_even_where_its_forked_child_lives(portal, parent, monkeypatch):
    monkeypatch.setenv("TRACEML_AGENT_UPLOAD_S", "1")
    dead = parent("if os.fork() == 0: time.sleep(60)\nprint(pid_of(handle), flush=True)\nos._exit(0)")
    pid = int(dead.stdout.readline())
    dead.wait()
    wait_until(lambda: has_ended(pid))
    assert len(portal.runs()) == 1


def test_a_forked_child_neither_waits_nor_takes_the_parents_answers(place, settings, portal, launch):
    handle = launch(settings)
    handle.own(whole(place).path)
    if (child := os.fork()) == 0:
        began = time.monotonic()
        quick = not handle.finish(5.0) and time.monotonic() - began < 1.0
        handle.close()
        os._exit(0 if quick else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert handle.finish(10.0)


def test_files_of_dead_processes_are_delivered_at_the_next_start(place, settings, portal, launch):
    dead = [whole(place, portal=settings.url) for _ in range(3)]
    others = [whole(place, portal="https://elsewhere.example"), whole(place)]  # the last was made for no portal
    living = begun(place)  # of another process, with its own uploader
    mine = begun(place)
    launch(settings).own(mine.path)
    portal.wait_for(lambda portal: all(is_stored(made, 3)(portal) for made in dead))
    wait_until(lambda: not any(Path(made.path).exists() for made in dead))
    assert all(Path(made.path).exists() for made in others)
    assert run_id_of(living) not in portal.runs()


def test_the_own_run_does_not_wait_for_what_dead_ones_left(place, settings, portal, launch):
    for _ in range(50):
        whole(place, updates=1)
    handle = launch(settings)
    handle.own(whole(place).path)
    assert handle.finish(10.0)
    assert len(portal.runs()) < 50


def test_settings_that_cannot_be_used_are_told_and_send_nothing(place, settings, portal, launch, caplog):
    settings.take("url", portal.url.replace("127.0.0.1", "portal.example"), "test")
    handle = launch(settings)
    handle.own(whole(place).path)
    assert not handle.finish(5.0)
    assert "TRACEML_AGENT_ALLOW_HTTP=1" in caplog.text
    assert portal.requests() == []


def test_a_silent_run_says_that_it_lives(place, settings, portal, launch):
    settings.take("upload_s", 1.0, "test")
    made = begun(place)
    launch(settings).own(made.path)
    portal.wait_for(lambda portal: portal.runs() and len(portal.runs()[run_id_of(made)]["headers"]) >= 3)


def test_the_token_is_nowhere_but_in_the_header_of_requests(place, settings, portal, launch, monkeypatch):
    monkeypatch.setenv("TRACEML_AGENT_TOKEN", TOKEN)
    portal.mode("422", only="batches")
    handle = launch(settings)
    handle.own(whole(place).path)
    handle.finish(10.0)
    folder = Path("/proc") / str(pid_of(handle))
    seen = [(folder / name).read_bytes() for name in ("cmdline", "environ")]
    seen += [path.read_bytes() for path in place.rglob("*") if path.is_file()]
    seen += [str(request["path"]).encode() + str(request["body"]).encode() for request in portal.requests()]
    assert len(seen) > 4
    assert not any(TOKEN.encode() in each for each in seen)


def test_the_training_loads_neither_requests_nor_what_it_needs():
    modules = "traceml_agent.delivery.uploader, traceml_agent.spool.file, traceml_agent.inputs.config"
    code = f"import sys, {modules}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"requests", "urllib3", "ssl", "http.client", "gzip", "subprocess"} & set(loaded)


def test_a_module_beside_the_script_is_not_taken_for_the_agents(place, portal, home):
    (home / "requests.py").write_text("raise SystemExit")
    made = whole(place)
    code = (
        "import sys; from traceml_agent.inputs import config; from traceml_agent.delivery import uploader\n"
        "settings = config.load(url=sys.argv[1], token=sys.argv[2], spool_dir=sys.argv[3])\n"
        "handle = uploader.launch(settings); handle.own(sys.argv[4]); print(handle.finish(10.0)); handle.close()"
    )
    command = [sys.executable, "-c", code, portal.url, TOKEN, str(place), made.path]
    assert subprocess.run(command, cwd=home, capture_output=True, text=True).stdout == "True\n"


def test_a_broken_pipe_does_not_kill_a_script_that_made_sigpipe_deadly(parent):
    survivor = parent(
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nos.kill(pid_of(handle), signal.SIGKILL)\n"
        "time.sleep(0.3)\nhandle.wake(); handle.finish(1.0); handle.close()\nprint('alive')"
    )
    assert survivor.communicate()[0] == "alive\n"
    assert survivor.returncode == 0


def test_ctrl_c_at_a_terminal_ends_the_training_and_not_the_uploader(portal, parent, place):
    naps = "[time.sleep(0.1) for _ in range(300)]"
    process = parent(f"made.append('update', update(1)); print(pid_of(handle), flush=True); {naps}")
    pid = int(process.stdout.readline())
    portal.wait_for(lambda portal: portal.runs())
    assert os.getsid(pid) != os.getsid(process.pid)
    assert psutil.Process(process.pid).children() == [], "it is no child that the training could meet"
    process.send_signal(signal.SIGINT)
    process.communicate()
    portal.wait_for(lambda portal: [energies(run) for run in portal.runs().values()] == [expected(1)])


def test_a_frozen_application_is_not_started_a_second_time(settings, monkeypatch, caplog):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert uploader.launch(settings) is None
    assert "traceml-agent sync" in caplog.text


def test_without_an_interpreter_to_start_there_is_a_warning_and_no_uploader(settings, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", "")
    assert uploader.launch(settings) is None
    assert "did not start" in caplog.text


def test_eight_agents_on_one_folder(portal, parent, place):
    whole(place, portal=portal.url)
    code = "for n in range(1, 21): made.append('update', update(n))\nmade.append('finish', finish(20)); made.close()\n"
    processes = [parent(code + "handle.wake(); handle.finish(20.0); handle.close()") for _ in range(8)]
    assert [process.communicate()[1] for process in processes] == [""] * 8
    portal.wait_for(lambda portal: sorted(map(len, map(energies, portal.runs().values()))) == [3] + [20] * 8)
    assert all(energies(run) == expected(len(energies(run))) for run in portal.runs().values())
    wait_until(lambda: list(place.iterdir()) == [])


def test_a_run_arrives_where_no_disk_can_be_written(settings, portal, launch, tmp_path, monkeypatch):
    (tmp_path / "blocked").touch()
    for name in ("HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / "blocked"))
    settings.take("spool_dir", tmp_path / "blocked" / "spool", "test")
    place = spool_folder.folder(settings)
    assert place.startswith(private.MEMORY_FOLDER)
    made = whole(place, portal=settings.url)  # the folder is everybody's: another uploader leaves it alone
    handle = launch(settings)
    handle.own(made.path)
    assert handle.finish(10.0)
    assert is_stored(made, 3)(portal)
