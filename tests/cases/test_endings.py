"""How runs end in the world: by a lost terminal, a service manager, a crash, a hard exit, another program."""

import os
import pty
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests.cases.conftest import last_t_s, metrics, status

TRAINS = """
    import os, sys, time
    from traceml_agent import start
    run = start("x")
    for step in range(10):
        run.log(loss=step)
        time.sleep(0.1)
    print("trained", flush=True)
"""


def test_a_terminal_that_goes_away_ends_the_run_and_loses_nothing(environment, processes, arrived, tmp_path):
    """Workflow engines and remote shells: the connection drops, the terminal is gone, SIGHUP ends the script, and the
    run shows as running for ever. The run has ended, is told so within seconds, and keeps all but its last second."""
    script = textwrap.dedent(TRAINS + "    time.sleep(60)\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-c", script], environment)
    said = b""
    while b"trained" not in said:
        said += os.read(terminal, 1024)
    time.sleep(1.5)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGHUP
    (stored,) = arrived()
    assert metrics(stored)["loss"] == [float(step) for step in range(10)]


def test_a_service_manager_that_stops_every_process_of_a_job_loses_nothing(start, processes, arrived):
    """Service managers and batch systems: a stop sends SIGTERM to every process of the control group at once, so a
    helper that was to deliver the rest dies beside the program. What outlives a run doesn't die of that."""
    process = start(TRAINS + "    time.sleep(60)\n")
    assert process.stdout.readline() == "trained\n"
    time.sleep(1.5)
    for each in processes():
        each.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    (stored,) = arrived()
    assert metrics(stored)["loss"] == [float(step) for step in range(10)]


def test_a_crash_ends_its_run_as_failed_and_bars_no_other(start, run, arrived):
    """Energy trackers that lock out a second instance: after a segmentation fault the lock stays behind and every
    later run is refused. A crashed run has failed, the dump is the user's, and the next run is measured."""
    process = start(
        TRAINS + "    time.sleep(1.5)\n    import ctypes\n    ctypes.string_at(0)\n", options=["-X", "faulthandler"]
    )
    _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in err
    (crashed,) = arrived()
    assert status(crashed) == "failed"
    run("import time, traceml_agent\nwith traceml_agent.track('y'): time.sleep(1)")
    assert sorted(map(status, arrived(2))) == ["completed", "failed"]


def test_a_script_that_leaves_by_os_exit_keeps_what_it_logged(start, processes, arrived):
    """Servers and accelerators' runtimes hang in their own teardown, so people end scripts by os._exit(0), and the
    trackers' exit hooks never run. The run ends within seconds with all that was logged a second before."""
    process = start(TRAINS + "    time.sleep(1.5)\n    os._exit(0)\n")
    process.communicate(timeout=30)
    assert process.returncode == 0
    (stored,) = arrived()
    assert metrics(stored)["loss"] == [float(step) for step in range(10)]
    assert status(stored) != "failed"


def test_a_program_that_becomes_another_one_has_two_whole_runs(start, processes, arrived):
    """Auto-reloaders and launchers replace themselves by os.exec: exit hooks don't run, the process id stays, and a
    tracker takes both for one run or loses the first. Both arrive, the first ended when the other began."""
    process = start("""
        import os, sys, time
        from traceml_agent import start
        run = start("first" if len(sys.argv) == 1 else "second")
        run.log(loss=1)
        time.sleep(2.5)
        if len(sys.argv) == 1:
            with open("again.py", "w") as file:
                file.write("import time, traceml_agent\\nwith traceml_agent.track('second'): time.sleep(1.5)")
            os.execv(sys.executable, [sys.executable, "again.py"])
    """)
    process.communicate(timeout=30)
    assert process.returncode == 0
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(2)}
    assert metrics(runs["first"]) == {"loss": [1.0]}
    assert last_t_s(runs["first"]) == pytest.approx(2.5, abs=1.5)
    assert status(runs["second"]) == "completed"


def test_ctrl_c_while_the_end_waits_for_the_portal_ends_it_at_once(start, portal, processes):
    """Experiment trackers wait for their upload at the end; whoever presses Ctrl-C then gets tracebacks of the
    tracker, or has to press three times. One is enough, and the script's own result stays what it was."""
    portal.mode("hang")
    process = start(
        "from traceml_agent import track\nwith track('x'): pass\nprint('done', flush=True)",
        TRACEML_AGENT_FLUSH_S="20",
    )
    assert process.stdout.readline() == "done\n"
    time.sleep(2)
    began_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began_s < 15.0
    assert "Traceback" not in err
    assert process.returncode == 0


def test_a_run_that_begins_while_the_program_ends_arrives(run, processes, arrived):
    """Error trackers and tracers flush in an exit hook and find that nothing new may be started there. A last
    evaluation in somebody's exit hook is a run like any other."""
    _, err = run("""
        import atexit, time

        @atexit.register
        def evaluate():
            with traceml_agent.track("evaluation") as run:
                run.log(accuracy=0.5)
                time.sleep(0.2)

        import traceml_agent
        with traceml_agent.track("training"):
            time.sleep(0.2)
    """)
    assert "Traceback" not in err
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(2)}
    assert metrics(runs["evaluation"]) == {"accuracy": [0.5]}


def test_a_thread_that_works_on_after_the_main_script_has_its_run(run, processes, arrived):
    """Servers and experiment scripts leave the main thread's code and go on in a thread: since Python 3.12 trackers
    that start threads of their own fail there. The run is measured until the thread is done."""
    _, err = run("""
        import threading, time
        from traceml_agent import track

        def work():
            time.sleep(0.3)  # the main thread is through by now
            with track("x") as run:
                time.sleep(1.2)
                run.log(loss=0.5)

        threading.Thread(target=work).start()
    """)
    assert "Traceback" not in err
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert metrics(stored) == {"loss": [0.5]}
    assert last_t_s(stored) == pytest.approx(1.2, abs=0.8)


def test_a_log_whose_reader_is_gone_does_not_change_the_exit_code(environment, processes, tmp_path):
    """A log collector that has died behind stderr: a tracker's last line can't be written, Python finds it unwritten
    at the end, and a job that went well ends with 120 and is started again by the scheduler. It ends with 0."""
    reader, writer = os.pipe()
    os.close(reader)
    code = "import traceml_agent\nwith traceml_agent.track('x'): pass"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=writer, env=environment, cwd=tmp_path)
    os.close(writer)
    assert process.wait(timeout=30) == 0
