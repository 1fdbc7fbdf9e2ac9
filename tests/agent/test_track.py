"""`track` and `start`: real processes, whose spool is read afterwards. No server anywhere."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from traceml_agent.spool import recording

LINE = "TraceML: "


@pytest.fixture
def script(tmp_path):
    """Runs a script under the agent in a process of its own."""

    def run(code, *arguments, wait=True, **environment):
        file = tmp_path / "script.py"
        file.write_text(textwrap.dedent(code))
        settings = {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, str(file), *arguments],
            env=os.environ | settings | environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if not wait:
            return process
        process.out, process.err = process.communicate(timeout=60)
        return process

    return run


@pytest.fixture
def records(tmp_path):
    """Records of all spool files, by type."""

    def read(kind):
        files = sorted((tmp_path / "spool").glob("*.spool")) if (tmp_path / "spool").exists() else []
        everything = [record for file in files for _, record in recording.read(str(file)) if record]
        return [record["body"] for record in everything if record["type"] == kind]

    return read


def test_a_tracked_block_is_measured_and_printed_in_one_line(script, records):
    process = script("""
        import json, time
        from traceml_agent import track
        with track("digits", kind="training", name="first", tags=["a"], params={"lr": 0.1}) as run:
            with run.stage("load"):
                time.sleep(0.1)
            for epoch in run.epochs(range(2)):
                sum(range(3_000_000))
                run.log(loss=1 / (epoch + 1))
        print(json.dumps(run.summary))
    """)
    assert process.returncode == 0
    summary = json.loads(process.out)
    assert summary["energy_kwh"] > 0
    assert summary["emissions_kg"] == pytest.approx(summary["energy_kwh"] * 0.458)
    assert {device["kind"] for device in summary["devices"]} >= {"cpu", "ram"}
    lines = process.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{LINE}digits: ")
    (header,), (finish,) = records("header"), records("finish")
    assert [header[name] for name in ("model", "name", "tags", "params")] == ["digits", "first", ["a"], {"lr": 0.1}]
    assert finish["status"] == "completed"
    stages = {stage["id"]: stage for update in records("update") for stage in update.get("stages", [])}
    assert [stage["name"] for stage in stages.values()] == ["load", "epoch 1", "epoch 2"]
    assert all(stage["end_s"] > stage["start_s"] for stage in stages.values())
    assert [m["value"] for update in records("update") for m in update.get("metrics", [])] == [1.0, 0.5]


def test_the_summary_is_what_estimation_makes_of_the_spools_last_counters(script, records):
    from traceml_agent import catalogue, estimation

    process = script("""
        import json
        from traceml_agent import start
        run = start("digits")
        sum(range(20_000_000))
        print(json.dumps(run.stop()))
    """)
    (finish,) = records("finish")
    devices = {device["key"]: device for device in finish["devices"]}
    total_j = 0.0
    for sample in finish["samples"]:
        device = devices[sample["device"]]
        sizes = (device.get("cores"), device.get("threads"), device.get("memory_gb"))
        counters = (sample["elapsed_s"], sample["busy_s"], sample["energy_j"], device["basis"] or None)
        profile = catalogue.profile_for(device["name"], device["kind"], memory_gb=device.get("memory_gb"))
        total_j += estimation.device_energy(estimation.Facts(device["kind"], *counters, *sizes), profile).energy_j
    assert json.loads(process.out)["energy_kwh"] == pytest.approx(total_j / 3.6e6, rel=1e-4)


@pytest.mark.parametrize(
    ("last", "status", "exception", "code"),
    [
        ("raise ValueError('no')", "failed", "ValueError", 1),
        ("raise KeyboardInterrupt", "cancelled", "KeyboardInterrupt", -signal.SIGINT),
        ("raise SystemExit(0)", "completed", "", 0),
        ("raise SystemExit(3)", "failed", "SystemExit", 3),
    ],
)
def test_how_a_block_ends_is_told_and_stays_as_it_was(script, records, last, status, exception, code):
    process = script(f"""
        from traceml_agent import track
        with track("digits"):
            {last}
    """)
    (finish,) = records("finish")
    assert (finish["status"], finish["exception"], process.returncode) == (status, exception, code)


def test_a_run_that_nobody_stops_ends_with_the_process(script, records):
    script("import traceml_agent; traceml_agent.start('digits')")
    assert [finish["status"] for finish in records("finish")] == ["completed"]


def test_a_run_that_nobody_stops_fails_with_the_process(script, records):
    process = script("import traceml_agent; traceml_agent.start('digits'); 1 / 0")
    assert process.returncode == 1
    assert [finish["exception"] for finish in records("finish")] == ["ZeroDivisionError"]


def test_the_summary_so_far_does_not_wait_for_the_next_sample(script):
    process = script("""
        import time
        from traceml_agent import start
        run = start("digits", interval=0.4)
        time.sleep(1.5)
        print(*(device["elapsed_s"] for device in run.summary["devices"]))
    """)
    assert all(1.4 < float(elapsed_s) < 5.0 for elapsed_s in process.out.split())


def test_stopping_again_gives_the_same_summary(script):
    process = script("""
        from traceml_agent import start
        run = start("digits")
        print(run.stop() is run.stop() is run.summary)
    """)
    assert process.out == "True\n"


def test_functions_of_every_kind_may_be_decorated(script, records):
    process = script("""
        import asyncio
        from traceml_agent import track

        @track
        def plain(x): return x + 1

        @track("named", kind="evaluation")
        async def coroutine(): return 2

        @track("generator")
        def generator(): yield 3

        @track("async generator")
        async def stream():
            yield 4

        async def main():
            return await coroutine(), [x async for x in stream()]

        print(plain(0), plain.__name__, list(generator()), asyncio.run(main()))
    """)
    assert process.out == "1 plain [3] (2, [4])\n"
    kinds = {header["model"]: header["kind"] for header in records("header")}
    assert kinds.keys() == {"plain", "named", "generator", "async generator"}
    assert kinds["named"] == "evaluation"


def test_a_decorated_function_is_a_run_each_call(script, records):
    script("""
        from traceml_agent import track
        @track("digits")
        def train(): pass
        train(); train()
    """)
    assert len({header["writer"] for header in records("header")}) == 2


def test_stages_nest_by_where_the_code_runs(script, records):
    script("""
        import asyncio
        from traceml_agent import track

        async def part(run, name):
            with run.stage(name):
                await asyncio.sleep(0.05)

        async def main():
            with track("digits") as run:
                with run.stage("outer"):
                    await asyncio.gather(part(run, "left"), part(run, "right"))
                with run.stage("after"):
                    pass

        asyncio.run(main())
    """)
    stages = {stage["name"]: stage for update in records("update") for stage in update.get("stages", [])}
    outer = stages["outer"]["id"]
    assert [stages[name]["parent"] for name in ("left", "right", "after")] == [outer, outer, ""]


def test_disabled_there_is_no_thread_file_or_line(script, tmp_path):
    process = script(
        """
        import threading
        from traceml_agent import track, watch
        with track("digits") as run:
            with run.stage("x"): run.log(a=1)
            watch(lambda x: x)(1)
        print(threading.active_count(), run.summary.energy_kwh)
        """,
        TRACEML_AGENT_DISABLED="1",
    )
    assert (process.out, process.err) == ("1 0.0\n", "")
    assert not (tmp_path / "spool").exists()


def test_disabled_a_rank_of_several_walks_through_all_its_epochs(script):
    process = script(
        """
        from traceml_agent import track
        with track("digits") as run:
            print(*run.epochs(range(3)))
        """,
        TRACEML_AGENT_DISABLED="1",
        RANK="1",
        WORLD_SIZE="2",
    )
    assert (process.out, process.err) == ("0 1 2\n", "")


def test_a_killed_process_keeps_all_but_its_last_interval(script, records):
    process = script(
        """
        import sys, time
        from traceml_agent import start
        run = start("digits", interval=0.1)
        print("started", flush=True)
        time.sleep(60)
        """,
        wait=False,
    )
    process.stdout.readline()
    time.sleep(6)
    process.kill()
    process.communicate()
    last_s = max(sample["t_s"] for update in records("update") for sample in update["samples"])
    assert last_s > 4


def test_signals_are_left_alone(script):
    process = script(
        """
        import signal, time
        before = [signal.getsignal(n) for n in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}]
        from traceml_agent import start
        run = start("digits")
        assert before == [signal.getsignal(n) for n in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}]
        print("ready", flush=True)
        time.sleep(60)
        """,
        wait=False,
    )
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def test_what_a_forked_child_tells_reaches_the_one_run_which_it_can_not_end(script, records):
    process = script("""
        import os
        from traceml_agent import start
        run = start("digits")
        for number in range(10):
            child = os.fork()
            if child == 0:
                with run.stage("in the child"):
                    run.log(a=number)
                run.stop("failed")
                os._exit(0)
            os.waitpid(child, 0)
        run.stop()
    """)
    assert process.returncode == 0
    assert [finish["status"] for finish in records("finish")] == ["completed"]
    assert {header["writer"] for header in records("header")} == {records("header")[0]["writer"]}
    assert len([stage for update in records("update") for stage in update.get("stages", [])]) >= 10
    logged = [metric["value"] for update in records("update") for metric in update.get("metrics", [])]
    assert sorted(logged) == list(range(10))


def test_a_spawned_worker_starts_no_second_run(script, records):
    script("""
        import multiprocessing
        from traceml_agent import track

        def work(x):
            with track("worker"):
                return x * x

        if __name__ == "__main__":
            with track("parent"):
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    assert pool.map(work, [1, 2, 3]) == [1, 4, 9]
    """)
    assert {header["model"] for header in records("header")} == {"parent"}
    assert len(records("finish")) == 1


def test_a_service_is_one_run_however_often_its_model_is_called(script, records):
    process = script("""
        from traceml_agent import watch
        class Model:
            def predict(self, batch): return batch
        model = watch(Model(), name="service")
        for _ in range(1000):
            model.predict([1, 2])
    """)
    assert process.returncode == 0
    (header,) = records("header")
    assert (header["model"], header["kind"]) == ("service", "inference")
    (call,) = [update["calls"] for update in records("update") if update.get("calls")][-1]
    assert (call["method"], call["calls"], call["items"]) == ("predict", 1000, 2000)


def test_a_watched_model_belongs_to_the_run_under_way(script, records):
    script("""
        from traceml_agent import track, watch
        with track("digits", kind="evaluation"):
            watch(len)([1, 2, 3])
    """)
    assert [header["model"] for header in records("header")] == ["digits"]
    assert [update["calls"] for update in records("update") if update.get("calls")][-1][0]["items"] == 3


def test_two_runs_in_one_process_are_two_runs(script, records):
    script("""
        from traceml_agent import start
        first, second = start("first"), start("second")
        second.stop(); first.stop()
    """)
    assert {header["model"] for header in records("header")} == {"first", "second"}
    assert len(records("finish")) == 2


NASTY = ["None", "object()", "float('nan')", "b'\\xff'", "'\\ud800'", "10**400", "[[[]]]", "{1: {}}", "lambda: 1", "''"]


@pytest.mark.parametrize("value", NASTY)
def test_no_public_call_raises_whatever_it_is_given(script, value):
    process = script(f"""
        import traceml_agent as t
        x = {value}
        settings = dict(url=x, token=x, interval=x, run_id=x, nonsense=x)
        for run in (t.start(x, x, x, x, x, **settings), t.start(x)):
            run.log(a=x, b=x)
            with run.stage(x): pass
            t.watch(x, name=x, run=x)
            run.stop(x, x)
        with t.track(x, kind=x, name=x, tags=x, params=x, flush_s=x) as run: pass
        print("done")
    """)
    assert (process.returncode, process.out) == (0, "done\n"), process.err
    assert "Traceback" not in process.err


def test_messages_go_to_the_logger_and_stdout_stays_the_scripts(script):
    process = script("import traceml_agent; traceml_agent.start('x', kind='wrong').stop(); print('mine')")
    assert process.out == "mine\n"
    assert len(process.err.splitlines()) == 2


@pytest.mark.parametrize(("last", "environment"), [("strict=True", {}), ("strict=None", {"TRACEML_AGENT_STRICT": "1"})])
def test_for_developers_the_agents_own_faults_raise(script, last, environment):
    process = script(
        f"import traceml_agent, traceml_agent.tracking.budget as b; b.Budget = None; traceml_agent.start('x', {last})",
        **environment,
    )
    assert process.returncode == 1
    assert "TypeError" in process.err


def test_a_notebooks_cell_that_is_run_again_starts_a_second_run_and_both_end(script, records):
    script("""
        cell = "from traceml_agent import start; run = start('digits'); run.log(loss=1)"
        for _ in range(2):
            exec(cell, globals())
    """)
    assert [finish["status"] for finish in records("finish")] == ["completed", "completed"]


def test_a_run_may_be_started_and_stopped_in_threads(script, records):
    process = script("""
        import threading
        from traceml_agent import start
        runs = []
        for step in (lambda: runs.append(start("digits")), lambda: runs[0].stop()):
            thread = threading.Thread(target=step)
            thread.start()
            thread.join()
        print(runs[0].summary.duration_s > 0)
    """)
    assert process.out == "True\n"
    assert len(records("finish")) == 1


def test_of_many_runs_the_first_print_their_figures_and_one_line_says_so(script, records):
    process = script("""
        from traceml_agent import track
        for number in range(40):
            with track("short"): pass
    """)
    lines = process.err.splitlines()
    assert len([line for line in lines if "CO2e" in line]) == 3
    assert len([line for line in lines if "quiet" in line]) == 1
    assert len(lines) == 4
    assert len(records("finish")) == 40


def test_who_wants_no_line_sets_quiet(script):
    process = script("from traceml_agent import track\nwith track('short', quiet=True): pass")
    assert process.err == ""


def test_a_start_in_the_same_cell_ends_the_former_run(script, records):
    process = script("""
        import sys
        sys.ps1 = ">>> "  # as in an interactive shell
        cell = compile("from traceml_agent import start; run = start('digits')", "cell 1", "exec")
        exec(cell)
        exec(cell)
        exec(compile("other = start('digits')", "cell 2", "exec"))
        third = start("another")
    """)
    assert [finish["status"] for finish in records("finish")] == ["completed"] * 4
    assert process.err.count("its cell started a new run") == 2


def test_a_fault_that_was_shown_in_a_shell_ends_no_run_as_failed(script, records):
    script("""
        import sys
        from traceml_agent import start
        sys.ps1 = ">>> "
        run = start("digits")
        sys.last_type, sys.last_value = NameError, NameError("a typo")
    """)
    assert [finish["status"] for finish in records("finish")] == ["completed"]


def test_the_run_of_the_code_at_hand_is_found_in_threads_and_tasks(script):
    process = script("""
        import asyncio, threading
        from traceml_agent import current_run, track
        found = []

        def work(name):
            with track(name) as run:
                barrier.wait()
                found.append(current_run() is run)

        barrier = threading.Barrier(3)
        threads = [threading.Thread(target=work, args=(str(number),)) for number in range(3)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]

        async def task(name):
            with track(name) as run:
                await asyncio.sleep(0.05)
                found.append(current_run() is run)

        async def all_of_them():
            await asyncio.gather(*(task(str(number)) for number in range(3)))

        asyncio.run(all_of_them())
        print(all(found), len(found), bool(current_run()))
        current_run().log(loss=1)
    """)
    assert process.out == "True 6 False\n", process.err
