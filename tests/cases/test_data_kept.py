"""What was measured arrives: whatever a run is given, whenever it is killed, whoever closes what the agent has open."""

import os
import subprocess
import sys
import time

import pytest

from tests.cases.conftest import calls, last_t_s, metrics, status

USES = """
import time, traceml_agent

class Greeter:
    def predict(self, names):
        return names

model = Greeter()
run = traceml_agent.start("x")
traceml_agent.watch(model, run=run)
began = time.monotonic()
print("ready", flush=True)
for number in range(1000):
    run.log(t=time.monotonic() - began)
    model.predict(["Ada"])
    time.sleep(0.1)
"""


@pytest.mark.parametrize("after_s", [0.3, 1.6, 4.0])
def test_a_young_run_that_is_killed_loses_a_second_at_most_and_no_call(start, arrived, after_s):
    """Out-of-memory killers and impatient people: a tracker that writes its first record after some seconds has
    nothing of a job that is killed before."""
    process = start(USES)
    assert process.stdout.readline() == "ready\n"
    time.sleep(after_s)
    process.kill()
    process.communicate()
    (stored,) = arrived()
    assert status(stored) == "failed"
    assert last_t_s(stored) > after_s - 1
    assert max(metrics(stored).get("t", [0])) > after_s - 1.2
    assert calls(stored) >= after_s / 0.1 * 0.7


def test_four_threads_that_each_track_have_four_whole_runs(run, arrived, place):
    """A search over parameters in threads: all of them start at once, and the tracker's helper of one takes the
    others' files for those of a dead process. Each run is whole, and nothing is left behind."""
    run("""
        import threading, time, traceml_agent

        def trial(number):
            with traceml_agent.track("trial") as run:
                time.sleep(1.5)
                run.log(number=number)
                time.sleep(1.5)

        threads = [threading.Thread(target=trial, args=(number,)) for number in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    """)
    runs = arrived(4)
    assert {status(stored) for stored in runs} == {"completed"}
    assert sorted(metrics(stored)["number"] for stored in runs) == [[0.0], [1.0], [2.0], [3.0]]
    assert 2.5 < min(map(last_t_s, runs)) < 15.0
    assert not list(place.glob("*.spool"))


def test_a_value_that_was_logged_before_a_flood_of_others_is_kept(run, arrived):
    """Loggers with a bounded queue that drops the oldest: the one value that matters was logged before ten thousand
    of a loop. All of them arrive, or are counted where the run is looked at."""
    run("""
        import threading, time, traceml_agent
        with traceml_agent.track("x") as run:
            time.sleep(1)
            run.log(val_accuracy=0.9)
            for step in range(10_000):
                run.log(reward=step)
            threads = [threading.Thread(target=lambda: [run.log(loss=1) for _ in range(3000)]) for _ in range(3)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
    """)
    (stored,) = arrived()
    found = metrics(stored)
    assert found["val_accuracy"] == [0.9]
    assert found["reward"] == [float(step) for step in range(10_000)]
    assert len(found["loss"]) == 9000
    assert stored["finishes"][-1]["dropped_records"] == 0


@pytest.mark.parametrize("after_s", [0.2, 0.35, 0.5])
def test_a_handler_that_ends_the_run_amid_a_flood_keeps_all_of_it_and_the_end(start, arrived, after_s):
    """Schedulers warn a job by SIGTERM, and its handler ends the run (wandb 7590, where that works most of the time).
    The signal comes while values are being written down: all of them arrive, in order, and so does the end."""
    process = start("""
        import signal, sys, traceml_agent

        def end(number, frame):
            run.stop("cancelled")
            print(logged, flush=True)
            sys.exit(0)

        logged = 0
        run = traceml_agent.start("x")
        signal.signal(signal.SIGTERM, end)
        print("ready", flush=True)
        while True:
            run.log(loss=logged)
            logged += 1
    """)
    assert process.stdout.readline() == "ready\n"
    time.sleep(after_s)
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, "lost" in err) == (0, False), err
    (stored,) = arrived(seconds=60)
    found = metrics(stored)["loss"]
    assert len(found) - int(out) in (0, 1)  # the signal may come before the count
    assert found == [float(number) for number in range(len(found))]
    assert status(stored) == "cancelled"


def test_stages_beyond_what_a_run_keeps_are_counted_and_said(run, arrived):
    """The same with stages, one for each step of a long training: the first of them stay, among them the long ones
    around, and how many there is no room for is said in the log and on the run's page."""
    _, err = run("""
        import traceml_agent
        with traceml_agent.track("x") as run:
            with run.stage("training"):
                for _ in range(20_500):
                    with run.stage("step"):
                        pass
    """)
    (stored,) = arrived()
    kept = {(row["id"], row["name"]) for batch in stored["batches"].values() for row in batch["stages"]}
    left_out = sum(row["count"] for row in stored["finishes"][-1]["left_out"] if "stage" in row["what"])
    assert len(kept) + left_out == 20_501
    assert [name for _, name in kept if name == "training"] == ["training"]
    assert "stage" in err


@pytest.mark.parametrize(
    "close", ["os.closerange(3, 256)", "[os.close(n) for n in numbers]", "os.dup2(taken, numbers[-1])"]
)
def test_a_process_that_closes_what_is_open_keeps_its_run_and_its_own_files(run, arrived, tmp_path, close):
    """Daemons close every descriptor, and the next files get the numbers: a logger that goes on by number writes into
    somebody's data, or closes it under them. The user's files hold what the user wrote; the run goes on."""
    _, err = run(f"""
        import os, time, traceml_agent
        with traceml_agent.track("x") as run:
            run.log(before=1)
            time.sleep(1.2)
            numbers = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
            numbers = [number for number in numbers if os.path.exists(f"/proc/self/fd/{{number}}")]
            taken = os.open("taken", os.O_CREAT | os.O_RDWR)
            os.write(taken, b"mine")
            {close}
            files = [open(f"file-{{number}}", "w") for number in range(30)]
            time.sleep(2)
            run.log(after=1)
            time.sleep(1.2)
            for number, file in enumerate(files):
                file.write(f"text {{number}}")
                file.close()
        with traceml_agent.track("y") as run:
            run.log(later=1)
    """)
    assert "Traceback" not in err
    assert [(tmp_path / f"file-{number}").read_text() for number in range(30)] == [f"text {n}" for n in range(30)]
    assert (tmp_path / "taken").read_bytes() == b"mine"
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(2)}
    assert metrics(runs["x"]) == {"before": [1.0], "after": [1.0]}
    assert metrics(runs["y"]) == {"later": [1.0]}


ODD = """
import decimal, enum, threading, traceml_agent

class Raises:
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

class Looks:
    def __getattribute__(self, name):
        raise RuntimeError("looked at")

endless = []
endless.append(endless)
"""


@pytest.mark.parametrize(
    "params",
    [
        '{"lr": 0.1, "x": Raises()}',
        '{"lr": 0.1, "seed": 10**5000}',
        '{"lr": 0.1, "x": Looks()}',
        '{"lr": 0.1, "x": endless}',
        '{"lr": 0.1, "x": {Raises(): 1}}',
        '{"lr": 0.1, Raises(): 1}',
        '{"lr": 0.1, "x": float("nan"), "lock": threading.Lock()}',
        '{"lr": 0.1, "\\ud800": "\\ud800", "": 1, "k" * 5000: 1}',
    ],
)
def test_an_odd_parameter_costs_itself_alone(run, arrived, params):
    """Trackers that fail to write one parameter as JSON: the exception ends the training, or the run is not there at
    all. It is measured, with all that can be kept."""
    _, err = run(ODD + f"""with traceml_agent.track("x", params={params}) as run:\n    run.log(loss=1)\n""")
    assert "Traceback" not in err
    (stored,) = arrived()
    assert stored["headers"][0]["params"]["lr"] == 0.1
    assert metrics(stored) == {"loss": [1.0]}


@pytest.mark.parametrize(
    "given",
    [
        'run.log(**{"": 1.0})',
        'run.log({"x": Raises()})',
        'run.log({"k" * 5000: 1.0})',
        'run.log({"\\ud800": 1.0})',
        "run.log({Raises(): 1.0})",
        "run.log(7)",
        "run.log(Looks())",
        'run.log({"x": 10**400})',
        "run.stage(Raises()).__enter__()",
        "run.stage(None, total=-3).__enter__()",
        'run.log_params({"x": Raises()})',
        "list(run.epochs([], name=Raises()))",
        'traceml_agent.watch(model := type("M", (), {"predict": lambda self, x: x})(), name=Raises()).predict(endless)',
    ],
)
def test_an_odd_value_on_the_way_costs_itself_alone(run, arrived, given):
    """One row that a server refuses takes the whole batch with it: samples, curve and all other metrics of those
    seconds. All else arrives."""
    _, err = run(
        ODD
        + f"""with traceml_agent.track("x") as run:
    run.log(acc=0.5)
    {given}
    run.log({{"val/loss": 0.4}}, loss=0.5)
"""
    )
    assert "Traceback" not in err
    (stored,) = arrived()
    assert {name: values for name, values in metrics(stored).items() if name in ("acc", "val/loss", "loss")} == {
        "acc": [0.5],
        "val/loss": [0.4],
        "loss": [0.5],
    }
    assert status(stored) == "completed"


@pytest.mark.parametrize("off_s", [-1_790_000_000, 302_400, -86_400])
def test_a_run_on_a_machine_whose_clock_is_wrong_arrives(run, arrived, environment, tmp_path, off_s):
    """Boards without a battery stand in 1970, virtual machines wake days ahead: a server takes such times for nonsense
    and drops the run. It arrives, and says when it was sent by the same clock: the portal learns the rest from that."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(
        f"import time\nright = time.time\ntime.time = lambda: right() + {off_s}\n"
    )
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path / "clock")
    run("import time, traceml_agent\nwith traceml_agent.track('x') as run:\n    run.log(loss=1)\n    time.sleep(0.5)")
    (stored,) = arrived()
    assert metrics(stored) == {"loss": [1.0]}
    assert 0.4 < last_t_s(stored) < 15.0
    assert stored["finishes"][-1]["sent_at"] and stored["headers"][0]["sent_at"]


def test_runs_made_without_a_portal_are_sent_when_that_is_asked_for_and_not_before(run, portal, arrived, environment):
    """Private first tries on a laptop: months later a portal is set, and a tool sends all it finds to the team's
    list. A later run's uploader leaves them alone; `sync` tells of them and sends them, as it was asked to."""
    run("import traceml_agent\nwith traceml_agent.track('private'): pass", TRACEML_AGENT_URL="")
    run("import time, traceml_agent\nwith traceml_agent.track('public'): time.sleep(1)")
    arrived(1)
    time.sleep(1)
    assert [stored["headers"][0]["model"] for stored in portal.runs().values()] == ["public"]
    words = [sys.executable, "-m", "traceml_agent", "sync"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "without a portal" in done.stdout
    assert {stored["headers"][0]["model"] for stored in arrived(2)} == {"private", "public"}


def test_a_token_that_the_portal_refuses_is_told_once_and_hardly_asked_again(run, portal):
    """A revoked token in somebody's cron job: each run, and each wake-up of its helper, knocks again and warns again.
    One line, and two requests at most, however many runs the process has."""
    _, err = run(
        """
        import time, traceml_agent
        for number in range(4):
            with traceml_agent.track("x"):
                time.sleep(1)
        """,
        TRACEML_AGENT_TOKEN="tml_" + "0" * 40,
    )
    assert len([line for line in err.splitlines() if "refuse" in line]) == 1, err
    assert len(portal.requests()) <= 2
