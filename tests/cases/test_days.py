"""A service that runs for days: each day's run ends and the next begins, and nothing is lost or counted twice.

Days are two seconds long here.
"""

from itertools import pairwise

import pytest

from tests.cases.conftest import calls, metrics, status

#: Hours of a day.
SHORT = "2/3600"


def ended(stored: dict) -> dict[str, float]:
    """The last elapsed seconds of each device, of all processes that measure."""
    (finish,) = [finish for finish in stored["finishes"] if finish["samples"]]
    return {sample["device"]: sample["elapsed_s"] for sample in finish["samples"]}


def by_day(runs: list[dict]) -> list[dict]:
    return sorted(runs, key=lambda run: run["headers"][0]["started_at"])


def test_each_day_of_a_service_is_a_run_and_their_sums_are_those_of_its_whole_life(run, portal, arrived):
    """A tracker's one run per process: a service that is never restarted has a run without an end, whose chart and
    file grow for ever."""
    out, _ = run(f"""
        import os, time, traceml_agent

        class Model:
            def predict(self, rows):
                return rows

        run = traceml_agent.start("greeter", kind="inference", tags=["live"], rotate_h={SHORT})
        run.log_params(size="small")
        model = traceml_agent.watch(Model(), run=run)
        began, pids = time.monotonic(), []
        for worker in range(2):
            if not (pid := os.fork()):
                for _ in range(50):
                    model.predict([1, 2])
                    run.log(tokens=3)
                    time.sleep(0.1)
                exit()
            pids.append(pid)
        for _ in range(55):
            model.predict([1, 2])
            run.log(tokens=1)
            time.sleep(0.1)
        for pid in pids:
            os.waitpid(pid, 0)
        run.stop()
        print(time.monotonic() - began)
    """)
    portal.wait_for(lambda p: sum(bool(run["finishes"]) for run in p.runs().values()) >= 3)
    runs = by_day(list(portal.runs().values()))
    assert len(runs) in (3, 4)
    headers = [stored["headers"][0] for stored in runs]
    assert {(h["model"], h["kind"], *h["tags"], h["params"]["size"]) for h in headers[1:]} == {
        ("greeter", "inference", "live", "small")
    }
    assert {status(stored) for stored in runs} == {"completed"}
    assert sum(map(calls, runs)) == 155
    assert sum(sum(metrics(stored).get("tokens", [])) for stored in runs) == 2 * 50 * 3 + 55
    assert sum(ended(stored)["cpu-0"] for stored in runs) == pytest.approx(float(out), abs=0.8)
    for before, after in pairwise(runs):
        assert before["finishes"][0]["ended_at"] == after["headers"][0]["started_at"]


def test_a_service_that_is_killed_on_its_second_day_loses_no_call(start, arrived, portal):
    """What only the process knows is lost when it is killed. Calls of the day and of the day before are on a board in
    shared memory, which says which of them are told."""
    process = start(f"""
        import time, traceml_agent

        class Model:
            def predict(self, rows):
                return rows

        run = traceml_agent.start("greeter", kind="inference", rotate_h={SHORT})
        first, model = run.run_id, traceml_agent.watch(Model(), run=run)
        while run.run_id == first:
            model.predict([1])
            time.sleep(0.01)
        told = sum(watched.calls()[0]["calls"] if watched.calls() else 0 for watched in run.watched)
        for _ in range(7):
            model.predict([1])
        run.log(tokens=5)
        print("ready", told, flush=True)
        time.sleep(60)
    """)
    told = int(process.stdout.readline().split()[1])
    process.kill()
    process.communicate()
    *_, last = by_day(arrived(2))
    assert calls(last) == told + 7
    assert metrics(last) == {"tokens": [5.0]}


def test_trainings_and_runs_with_a_budget_go_on_over_midnight(run, arrived):
    """A rotation is for services: a training of two days is one run."""
    run(f"""
        import time, traceml_agent
        training = traceml_agent.start("a", rotate_h={SHORT})
        limited = traceml_agent.start("b", kind="inference", budget_kwh=9, rotate_h={SHORT})
        with limited.stage("long"):
            time.sleep(3)
        for each in (limited, training):
            each.stop()
    """)
    arrived(2)


def test_a_stage_is_not_torn_by_the_end_of_the_day(run, arrived):
    run(f"""
        import time, traceml_agent
        run = traceml_agent.start("b", kind="inference", rotate_h={SHORT})
        with run.stage("long"):
            time.sleep(2.5)
            first = run.run_id
        while run.run_id == first:
            time.sleep(0.1)
        run.stop()
    """)
    first, second = by_day(arrived(2))
    (stage,) = {row["name"]: row for batch in first["batches"].values() for row in batch["stages"]}.values()
    assert 2.4 < stage["end_s"] - stage["start_s"] < 8.0
    assert not any(batch["stages"] for batch in second["batches"].values())
