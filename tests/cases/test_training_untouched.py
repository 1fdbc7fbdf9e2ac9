"""What the training does and shows is the same with the agent in it: its children, streams, copies, exit codes."""

import pytest

from tests.cases.conftest import metrics, status

WAITS = {
    "os.wait": "while True:\n                ended.append(os.wait()[0])",
    "os.waitpid": "while True:\n                ended.append(os.waitpid(-1, 0)[0])",
    "os.waitid": "while True:\n                ended.append(os.waitid(os.P_ALL, 0, os.WEXITED).si_pid)",
    "of its group": "while True:\n                ended.append(os.waitpid(0, 0)[0])",
    "os.wait3": "while True:\n                ended.append(os.wait3(0)[0])",
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("again", [1, 3])
def test_who_waits_for_all_children_meets_none_but_his_own(run, processes, arrived, wait, again):
    """Test runners and launchers that wait until no child is left: a helper that is a child, too, lives as long as
    they do, so they wait for ever. They see their own children alone, in any run of the process."""
    out, _ = run(
        f"""
        import os, time
        from traceml_agent import track
        for _ in range({again}):
            with track("x") as run:
                mine = set()
                for number in range(3):
                    pid = os.fork()
                    if pid == 0:
                        time.sleep(0.2 * number)
                        os._exit(0)
                    mine.add(pid)
                ended = []
                try:
                    {wait.replace("                ", "                        ")}
                except ChildProcessError:
                    print(set(ended) == mine)
        """,
    )
    assert out == "True\n" * again
    assert {status(stored) for stored in arrived(again)} == {"completed"}


def test_who_ends_all_children_does_not_end_what_delivers(run, processes, arrived):
    """Notebooks' and task queues' clean-up: every child of the process is killed, whoever started it, and with the
    helper go the last values. What delivers is no child."""
    out, _ = run("""
        import os, signal, subprocess, sys, time
        import psutil
        from traceml_agent import track
        with track("x") as run:
            time.sleep(1)
            mine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            children = psutil.Process().children(recursive=True)
            print([each.pid for each in children] == [mine.pid])
            for each in children:
                each.kill()
            mine.wait()
            run.log(loss=1)
    """)
    assert out == "True\n"
    (stored,) = arrived()
    assert metrics(stored) == {"loss": [1.0]}
    assert status(stored) == "completed"


COPIES = {
    "copy": "copy.copy(trainer)",
    "deepcopy": "copy.deepcopy(trainer)",
    "pickle": "pickle.loads(pickle.dumps(trainer))",
    "cloudpickle": "pickle.loads(cloudpickle.dumps(trainer))",
    "asdict": "Trainer(**dataclasses.asdict(trainer))",
    "deepcopy of a list": "copy.deepcopy([{'of': trainer}])[0]['of']",
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("disabled", ["0", "1"])
def test_what_holds_the_run_can_be_copied(run, processes, portal, arrived, copied, disabled):
    """Trainers and callbacks that keep the tracker's run as an attribute: early stopping copies the best of them,
    spawned workers get one by pickle, and a lock within ends that in a TypeError. The copy tells the same run."""
    out, err = run(
        f"""
        import copy, dataclasses, pickle, time
        import cloudpickle, traceml_agent

        @dataclasses.dataclass
        class Trainer:
            run: object
            stage: object
            epochs: object
            tracked: object

        with (tracked := traceml_agent.track("x")) as run:
            with run.stage("outer") as stage:
                epochs = run.epochs(range(2))
                trainer = Trainer(run, stage, epochs, tracked)
                other = {copied}
                other.run.log(loss=1)
                for epoch in other.epochs:
                    pass
                with other.run.stage("inner"):
                    pass
                time.sleep(0.2)
        print("trained")
        """,
        TRACEML_AGENT_DISABLED=disabled,
    )
    assert out == "trained\n"
    assert "Traceback" not in err and "failed" not in err
    if disabled == "1":
        assert portal.runs() == {}
    else:
        (stored,) = arrived()
        assert metrics(stored) == {"loss": [1.0]}
        stages = {row["name"] for batch in stored["batches"].values() for row in batch["stages"]}
        assert {"outer", "inner"} <= stages


@pytest.mark.parametrize("closed", ["2>&-", "2>&- <&-"])
def test_without_a_stderr_nothing_goes_to_stdout(start, processes, arrived, closed):
    """Services without a console have no stderr, and Python's print then takes stdout: the summary of a tool stands in
    the midst of the data that the next program reads."""
    script = "import traceml_agent\nwith traceml_agent.track('x') as run: run.log(loss='none')\nprint('data')"
    process = start(script, before=["sh", "-c", f'exec "$@" {closed}', "sh"])
    assert process.communicate(timeout=30)[0] == "data\n"
    arrived()


@pytest.mark.parametrize(
    "runs",
    [
        "for number in range(200):\n    with traceml_agent.track('x'): pass",
        "for number in range(200): traceml_agent.start('x').stop()",
        "@traceml_agent.track\ndef trial(): pass\nfor number in range(200): trial()",
        "import threading\n@traceml_agent.track\ndef trial(): pass\n"
        "threads = [threading.Thread(target=lambda: [trial() for _ in range(20)]) for _ in range(10)]\n"
        "[each.start() for each in threads]\n[each.join() for each in threads]",
    ],
    ids=["blocks", "start", "decorated", "threads"],
)
@pytest.mark.parametrize("quiet", ["0", "1"])
def test_many_runs_in_a_process_print_a_few_lines(run, processes, portal, runs, quiet):
    """Searches over parameters with a run for each trial: two hundred lines of a tool between the trials' own. After
    the first few one line says that there are no more; a setting has none at all."""
    out, err = run(f"import traceml_agent\n{runs}", seconds=60, TRACEML_AGENT_QUIET=quiet, TRACEML_AGENT_FLUSH_S="0")
    lines = [line for line in err.splitlines() if "TraceML" in line]
    assert out == ""
    assert len([line for line in lines if "more runs of this process" in line]) == (quiet == "0")
    assert len(lines) <= (7 if quiet == "0" else 0)


ENDS = {
    "sys.exit(3)": ("failed", 3),
    "sys.exit('no data')": ("failed", 1),
    "sys.exit(0)": ("completed", 0),
    "sys.exit()": ("completed", 0),
    "raise SystemExit(2)": ("failed", 2),
    "os._exit(4)": ("failed", 4),
    "raise ValueError": ("failed", 1),
    "raise KeyboardInterrupt": ("cancelled", -2),
    "os.abort()": ("failed", -6),
    "os.kill(os.getpid(), 9)": ("failed", -9),
    "os.kill(os.getpid(), 15)": ("stopped", -15),
    "threading.Thread(target=lambda: 1 / 0).start()": ("completed", 0),
}


@pytest.mark.parametrize(("last", "ended"), ENDS.items(), ids=ENDS)
@pytest.mark.parametrize("how", ["start", "track"])
def test_the_end_of_a_script_is_the_end_of_its_run(start, processes, portal, last, ended, how):
    """Trackers whose exit hook knows an exception but no exit code: a job that ended by `sys.exit(3)` is shown as
    completed. The code stays what it was, and the run says the same."""
    begins = {"start": "run = traceml_agent.start('x')\nif True:", "track": "with traceml_agent.track('x') as run:"}[
        how
    ]
    process = start(f"import os, sys, threading, traceml_agent\n{begins}\n    run.log(loss=1)\n    {last}\n")
    process.communicate(timeout=30)
    assert process.returncode == ended[1]
    # A code is known later than the end of the code.
    portal.wait_for(lambda p: [status(run) for run in p.runs().values() if run["finishes"]] == [ended[0]])
