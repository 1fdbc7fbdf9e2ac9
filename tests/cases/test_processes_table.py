"""What threads, tasks, children, pools and servers of a tracked process may do: a test for each row of
docs/processes.md. Each does something whose result is known, in a few turns; a run that is lost shows as one too few.
"""

import contextlib
from pathlib import Path

import pytest

from tests.cases.conftest import calls, last_t_s, metrics, status
from tests.cases.workers import CHILDREN, TURNS, are_whole, library, numbers, params, stages  # noqa: F401 (a fixture)

of_each_kind = pytest.mark.parametrize("child", CHILDREN.values(), ids=CHILDREN)


def opened(process) -> list[str]:
    """What a process has open, by name."""
    found = []
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()))
    return found


# Threads and tasks


def test_threads_that_each_have_a_block_have_whole_runs(run, arrived):
    run(f"""
        import threading, library
        for turn in range({TURNS}):
            threads = [threading.Thread(target=library.trial, args=(4 * turn + each,)) for each in range(4)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
    """)
    runs = arrived(4 * TURNS)
    assert are_whole(runs)
    assert numbers(runs) == list(range(4 * TURNS))


def test_coroutines_that_each_have_a_block_have_whole_runs(run, arrived):
    run(f"""
        import asyncio, traceml_agent

        async def trial(number):
            async with traceml_agent.track("trial"):
                await asyncio.sleep(0.3)
                traceml_agent.current_run().log(number=number)

        async def main():
            for turn in range({TURNS}):
                await asyncio.gather(*(trial(4 * turn + each) for each in range(4)))

        asyncio.run(main())
    """)
    runs = arrived(4 * TURNS)
    assert are_whole(runs)
    assert [len(metrics(stored)["number"]) for stored in runs] == [1] * len(runs)
    assert numbers(runs) == list(range(4 * TURNS))


def test_a_task_that_a_block_starts_tells_its_run_even_beside_a_later_one(run, arrived):
    run("""
        import asyncio, library, traceml_agent

        async def told(number, after_s):
            await asyncio.sleep(after_s)
            library.told(number)

        async def main():
            async with traceml_agent.track("first"):
                task = asyncio.create_task(told(1, 0.2))
                async with traceml_agent.track("second"):
                    await asyncio.gather(asyncio.to_thread(library.told, 2), asyncio.create_task(told(2, 0.1)), task)
                    await asyncio.sleep(0.3)

        asyncio.run(main())
    """)
    runs = arrived(2)
    assert are_whole(runs)
    found = {stored["headers"][0]["model"]: metrics(stored)["number"] for stored in runs}
    assert found == {"first": [1], "second": [2, 2]}


def test_a_thread_without_a_block_tells_the_run_that_was_started_last(run, arrived):
    run("""
        import threading, time, library, traceml_agent
        with traceml_agent.track("trial"):
            threads = [threading.Thread(target=library.told, args=(each,)) for each in range(4)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
            time.sleep(0.3)
    """)
    assert numbers(arrived()) == [0, 1, 2, 3]


def test_a_block_within_another_is_a_run_of_its_own_and_ends_alone(run, arrived):
    run(f"""
        import time, traceml_agent
        for turn in range({TURNS}):
            with traceml_agent.track("outer"):
                with traceml_agent.track("inner"):
                    time.sleep(0.3)
                    traceml_agent.current_run().log(number=1)
                traceml_agent.current_run().log(number=2)
    """)
    runs = arrived(2 * TURNS)
    assert are_whole(runs)
    found = sorted((stored["headers"][0]["model"], *metrics(stored)["number"]) for stored in runs)
    assert found == [("inner", 1)] * TURNS + [("outer", 2)] * TURNS


def test_one_run_after_another_are_two(run, arrived):
    run(f"""
        import library
        for number in range(2 * {TURNS}):
            library.trial(number)
    """)
    runs = arrived(2 * TURNS)
    assert are_whole(runs)
    assert numbers(runs) == list(range(2 * TURNS))


# Children of a tracked process


@of_each_kind
def test_a_child_that_is_given_the_run_tells_it_and_does_not_end_it(run, arrived, child):
    """What it logs, its stages and parameters arrive in the one run; its `stop` is none of the run's."""
    run(
        child
        + """
        import library, time, traceml_agent
        if __name__ == "__main__":
            with traceml_agent.track("trial") as run:
                for number in range(2):
                    in_child(library.told_by, run, number)
                run.log(number=2)
                time.sleep(0.3)
        """
    )
    (stored,) = arrived()
    assert are_whole([stored])
    assert numbers([stored]) == [0, 1, 2]
    assert stages(stored) == ["work", "work"]
    assert params(stored) == {"number 0": 0, "number 1": 1}


@of_each_kind
def test_a_child_of_a_tracked_process_belongs_to_its_run(run, arrived, child):
    """Its own `track` and `start` begin none beside the one that measures it; what it logs is that one's."""
    run(
        child
        + """
        import library, time, traceml_agent
        if __name__ == "__main__":
            with traceml_agent.track("trial") as run:
                in_child(library.trial, 0)
                in_child(library.started, 1)
                in_child(library.told, 2)
        """
    )
    (stored,) = arrived()
    assert are_whole([stored])
    assert numbers([stored]) == [0, 1, 2]


@of_each_kind
def test_a_watched_model_counts_in_a_child(run, arrived, child):
    """Forked with it, the model counts on; a pickled one is bare, as it would be loaded anywhere."""
    run(
        child
        + """
        import library, time, traceml_agent
        if __name__ == "__main__":
            with traceml_agent.track("trial") as run:
                model = traceml_agent.watch(library.Greeter())
                library.greeted(model, 0)
                in_child(library.greeted, model, 1)
                time.sleep(0.3)
        """
    )
    (stored,) = arrived()
    assert are_whole([stored])
    assert calls(stored) == (20 if "fork()" in child or '"fork"' in child else 10)


@of_each_kind
def test_a_child_walks_through_epochs_of_the_run(run, arrived, child):
    """As a launcher's function does that is given everything: each item is a stage of the one run."""
    run(
        child
        + """
        import library, time, traceml_agent
        if __name__ == "__main__":
            with traceml_agent.track("trial") as run:
                in_child(library.walked, run.epochs(range(3)))
                time.sleep(0.3)
        """
    )
    (stored,) = arrived()
    assert stages(stored) == ["epoch 1", "epoch 2", "epoch 3"]
    assert numbers([stored]) == [0, 1, 2]


@of_each_kind
def test_what_a_child_tells_of_a_run_that_is_over_arrives_and_changes_no_end(run, portal, arrived, child):
    """A worker that is a moment late: its run keeps the end that it had."""
    run(
        child
        + """
        import library, time, traceml_agent
        if __name__ == "__main__":
            with traceml_agent.track("trial") as run:
                time.sleep(0.3)
            in_child(library.told_by, run, 1)
        """
    )
    portal.wait_for(lambda p: numbers(p.runs().values()) == [1])
    (stored,) = arrived()
    assert {finish["status"] for finish in stored["finishes"]} == {"completed"}


# Children of a process that is not tracked


@of_each_kind
@pytest.mark.parametrize("how", ["trial", "started"])
def test_a_child_of_an_untracked_process_has_runs_of_its_own(run, arrived, child, how):
    """Ended by the block, or with the child that returns: children of multiprocessing run no atexit."""
    if "fork()" in child and how == "started":
        pytest.skip("os._exit is told of in the next test")
    run(
        child
        + f"""
        import library, traceml_agent
        if __name__ == "__main__":
            for number in range({TURNS}):
                in_child(library.{how}, number)
        """
    )
    runs = arrived(TURNS)
    assert are_whole(runs)
    assert numbers(runs) == list(range(TURNS))


def test_a_forked_child_that_leaves_by_exit_keeps_its_run(run, arrived):
    run(CHILDREN["fork"] + "\n        import library\n        in_child(library.started, 7)")
    (stored,) = arrived()
    assert numbers([stored]) == [7]
    assert last_t_s(stored) > 0


# Other programs


def test_a_script_that_a_tracked_one_runs_belongs_to_its_run(run, arrived):
    run("""
        import subprocess, sys, traceml_agent
        with traceml_agent.track("outer"):
            subprocess.run([sys.executable, "-c", "import library; library.trial(1); library.started(2)"], check=True)
    """)
    (stored,) = arrived()
    assert are_whole([stored])
    assert numbers([stored]) == [1, 2]


def test_a_program_that_outlives_the_tracked_one_has_a_run_of_its_own(run, arrived):
    """A server in the background that a tracked script started: the script's run ends with the script."""
    run("""
        import subprocess, sys, time, traceml_agent
        with traceml_agent.track("outer"):
            words = [sys.executable, "-c", "import library, time; time.sleep(2); library.trial(1)"]
            subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
    """)
    runs = {stored["headers"][0]["model"]: stored for stored in arrived(2)}
    assert are_whole(list(runs.values()))
    assert numbers([runs["trial"]]) == [1]


def test_a_fork_that_outlives_its_run_keeps_it_from_nothing(start, processes, arrived):
    """Workers that a killed script leaves behind, each a copy of it: the run is over at once, and they hold nothing."""
    process = start("""
        import os, time, traceml_agent
        run = traceml_agent.start("trial")
        run.log(number=1)
        time.sleep(1.5)
        for _ in range(10):
            if os.fork() == 0:
                print("forked", flush=True)
                time.sleep(60)
        time.sleep(60)
    """)
    # What a fork does in a child is done before its code goes on, which may be long after the parent's does.
    for _ in range(10):
        assert process.stdout.readline() == "forked\n"
    children = [each for each in processes() if each.ppid() == process.pid]
    assert len(children) == 10
    held = [name for child in children for name in opened(child)]
    assert [name for name in held if any(word in name for word in ("traceml", "spool", "socket"))] == []
    process.kill()
    process.wait()
    (stored,) = arrived()
    assert status(stored) == "failed"
    assert numbers([stored]) == [1]
