"""Runs that measure the same at the same time: one within another, side by side, of several jobs on one host.

Each is told all that its process used; what they count in sums adds up to that once. A joule that two runs count made a
project's total twice and four times what its machine drew.
"""

import json
import signal
import subprocess
import sys
from datetime import datetime

import pytest

BURN = """
import asyncio, sys, threading, time
from traceml_agent import start, track

def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass

def told(n=0):
    with track(f"run {n}", quiet=True):
        burn(0.3 + 0.1 * n)
"""
WHOLE = """
with track("whole", quiet=True, upload_s=1):
    burn(0.3)
    work()
    time.sleep(0.3)
"""
WAYS = {
    "within each other": "def work():\n    with track('inner', quiet=True):\n        told()\n    burn(0.2)",
    "four threads": """
def work():
    threads = [threading.Thread(target=told, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
""",
    "tasks": """
async def task(n):
    async with track(f"task {n}", quiet=True):
        burn(0.1)
        await asyncio.sleep(0.1 * n)
        burn(0.1)

async def tasks():
    await asyncio.gather(*(task(n) for n in range(4)))

def work():
    asyncio.run(tasks())
""",
    "started and forgotten": """
def work():
    first = start("first", quiet=True)
    burn(0.2)
    second = start("second", quiet=True)
    burn(0.2)
    first.stop()
    burn(0.2)
""",
    "decorated and recursive": """
@track("recursive", quiet=True)
def recursive(depth):
    burn(0.1)
    if depth:
        recursive(depth - 1)

def work():
    recursive(4)
""",
}
#: Less than any of their blocks. A run is seen by another once it has written what it holds, after its first reading:
#: milliseconds, more where a busy machine takes its processor away just then.
CLOSE_S = 0.08


def counters(run: dict, device: str = "cpu-0") -> dict[str, float]:
    """The last counters of a run's device, all of its writers added up, with those of what it counts."""
    added: dict[str, float] = {}
    for finish in run["finishes"]:
        for row in finish["samples"]:
            if row["device"] == device:
                held_s = row.get("held_s", row["elapsed_s"])
                found = {"elapsed_s": row["elapsed_s"], "held_s": held_s, "busy_s": row["busy_s"]}
                found["counted_held_s"] = held_s - row.get("shared_held_s", 0.0)
                found["counted_busy_s"] = row["busy_s"] - row.get("shared_busy_s", 0.0)
                added = {name: added.get(name, 0.0) + value for name, value in found.items()}
    return added


def total(runs: list[dict], name: str) -> float:
    return sum(counters(run)[name] for run in runs)


def overlaps(run: dict) -> dict[str, str]:
    return {row["run"]: row["shares"] for finish in run["finishes"] for row in finish.get("overlaps", ())}


@pytest.mark.parametrize("work", WAYS.values(), ids=WAYS.keys())
def test_runs_of_one_process_count_it_once(start, portal, processes, work):
    script = start(BURN + work + WHOLE)
    assert script.wait(60) == 0
    portal.wait_for(lambda p: all(run["finishes"] for run in p.runs().values()) and len(p.runs()) >= 3)
    runs = list(portal.runs().values())
    (whole,) = [run for run in runs if run["headers"][0]["model"] == "whole"]
    mine = counters(whole)
    assert total(runs, "counted_held_s") == pytest.approx(mine["held_s"], abs=CLOSE_S)
    assert total(runs, "counted_busy_s") == pytest.approx(mine["busy_s"], abs=CLOSE_S)
    assert {"process"} == set(overlaps(whole).values())
    assert len(overlaps(whole)) == len(runs) - 1
    assert mine["held_s"] == pytest.approx(mine["elapsed_s"]), "its own figure is all that the process used"


def test_the_inner_of_two_blocks_counts_what_both_measured(start, portal, processes):
    """So a model's total is what its own blocks used, and none is emptied by a block around it."""
    assert start(BURN + "def work():\n    told()\n" + WHOLE).wait(60) == 0
    portal.wait_for(lambda p: len([run for run in p.runs().values() if run["finishes"]]) == 2)
    of = {run["headers"][0]["model"]: counters(run) for run in portal.runs().values()}
    inner, outer = of["run 0"], of["whole"]
    assert inner["counted_busy_s"] == pytest.approx(inner["busy_s"])
    assert outer["counted_busy_s"] == pytest.approx(outer["busy_s"] - inner["busy_s"], abs=CLOSE_S)


def test_writers_of_one_run_in_one_process_are_that_process_once(start, portal, processes):
    """A scheduler gives a whole job one run id, whatever blocks its script has."""
    work = "def work():\n    told(1)\n"
    assert start(BURN + work + WHOLE, TRACEML_AGENT_RUN_ID="job-7").wait(60) == 0
    portal.wait_for(lambda p: len([f for run in p.runs().values() for f in run["finishes"]]) == 2)
    (run,) = portal.runs().values()
    longest = max(row["elapsed_s"] for finish in run["finishes"] for row in finish["samples"])
    assert counters(run)["held_s"] == pytest.approx(longest, abs=CLOSE_S)
    assert counters(run)["counted_held_s"] == pytest.approx(longest, abs=CLOSE_S)
    assert overlaps(run) == {}


def test_eight_jobs_on_a_host_hold_it_once(start, portal, processes):
    """Each of eight processes was given the whole machine's idle power: 355 W for one of 61 W."""
    code = BURN + "\nwith track(sys.argv[1], quiet=True):\n    burn(0.2)\n    time.sleep(float(sys.argv[2]))"
    jobs = [start(code, f"job {n}", str(3 + n % 3)) for n in range(8)]
    assert [job.wait(90) for job in jobs] == [0] * 8
    portal.wait_for(lambda p: len([run for run in p.runs().values() if run["finishes"]]) == 8)
    runs = list(portal.runs().values())
    spans = [(began_s(run), began_s(run) + counters(run)["elapsed_s"]) for run in runs]
    window_s = max(end for _, end in spans) - min(start for start, _ in spans)
    assert total(runs, "held_s") == pytest.approx(window_s, rel=0.1)
    assert total(runs, "busy_s") == pytest.approx(total(runs, "counted_busy_s")), "work is each one's own"
    assert {"host"} == {shares for run in runs for shares in overlaps(run).values()}
    notes = [device["note"] for run in runs for device in run["finishes"][-1]["devices"] if device["kind"] == "cpu"]
    assert all("shared with your other tracked jobs" in note for note in notes)


def began_s(run: dict) -> float:
    return datetime.fromisoformat(run["headers"][0]["started_at"].replace("Z", "+00:00")).timestamp()


SLEEPER = """
with track(sys.argv[1], quiet=True):
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
"""
WORKER = """
with track("own", quiet=True):
    print("begun", flush=True)
    for _ in range(30):
        time.sleep(0.1)
        burn(0.1)
"""


def test_a_job_that_was_killed_holds_the_host_no_longer(start, portal, processes):
    killed = start(BURN + SLEEPER, "killed", "60")
    assert killed.stdout.readline() == "begun\n"
    other = start(BURN + SLEEPER, "other", "9")
    assert other.stdout.readline() == "begun\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    assert other.wait(60) == 0
    portal.wait_for(lambda p: any(run["finishes"] and model(run) == "other" for run in p.runs().values()))
    (mine,) = [counters(run) for run in portal.runs().values() if model(run) == "other"]
    assert mine["held_s"] > 0.7 * mine["elapsed_s"]


def model(run: dict) -> str:
    return run["headers"][0]["model"]


def test_a_process_that_is_watched_too_is_counted_once(start, portal, processes, environment, tmp_path):
    own = start(BURN + WORKER)
    assert own.stdout.readline() == "begun\n"
    words = [sys.executable, "-m", "traceml_agent", "watch", "--pid", str(own.pid), "--model", "watched"]
    watch = subprocess.Popen(words, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (own.wait(60), watch.wait(60)) == (0, 0)
    portal.wait_for(lambda p: len([run for run in p.runs().values() if run["finishes"]]) == 2)
    of = {model(run): run for run in portal.runs().values()}
    mine, others = counters(of["own"]), counters(of["watched"])
    assert set(overlaps(of["own"]).values()) == set(overlaps(of["watched"]).values()) == {"process"}
    # The watching looks twice a second whether its process has ended.
    assert mine["counted_held_s"] + others["counted_held_s"] == pytest.approx(mine["held_s"], abs=1.0)
    assert mine["counted_busy_s"] == pytest.approx(mine["busy_s"] - others["counted_busy_s"], rel=0.2)


def test_other_projects_runs_take_nothing_off_where_they_send_elsewhere(start, portal, processes):
    """A run that goes to no portal, or to another one, is in none of this portal's sums."""
    work = "def work():\n    with track('local', quiet=True, url=''):\n        burn(0.3)\n"
    assert start(BURN + work + WHOLE).wait(60) == 0
    portal.wait_for(lambda p: any(run["finishes"] for run in p.runs().values()))
    (run,) = portal.runs().values()
    mine = counters(run)
    assert mine["counted_busy_s"] == pytest.approx(mine["busy_s"])


def test_a_run_that_is_alone_says_nothing_of_it(start, portal, processes):
    assert start(BURN + "told()").wait(30) == 0
    portal.wait_for(lambda p: any(run["finishes"] for run in p.runs().values()))
    (run,) = portal.runs().values()
    assert "shared_held_s" not in json.dumps(run["finishes"]) and overlaps(run) == {}
