"""Several at once: threads, ranks, signal handlers and pools that tell of runs, start them and end them."""

import json

import pytest

from tests.cases.conftest import metrics, status

SHARED = """
import sys, time
from traceml_agent import start

run = start("model")
for _ in range(int(sys.argv[1])):
    run.log(loss=0.5)
    time.sleep(0.1)
sys.exit(int(sys.argv[2]))
"""


def test_a_rank_that_fails_says_nothing_of_those_that_go_on(start, portal, processes, arrived):
    """Distributed training: one rank of a shared run crashed early, and the run's other ranks were taken for dead."""
    shared = {"TRACEML_AGENT_RUN_ID": "job-7", "TRACEML_AGENT_UPLOAD_S": "1"}
    longer = start(SHARED, "100", "0", **shared)
    shorter = start(SHARED, "40", "3", **shared)
    assert shorter.wait(20) == 3
    assert longer.wait(20) == 0
    portal.wait_for(lambda p: {longer.pid} <= {pid for pid, _ in ends(p)})
    assert (longer.pid, "failed") not in ends(portal)
    assert (shorter.pid, "failed") in ends(portal)
    (run,) = portal.runs().values()
    assert len(metrics(run)["loss"]) == 140


def ends(portal) -> set[tuple[int, str]]:
    """Which process was said to have ended how, in all that the portal was told."""
    (run,) = portal.runs().values()
    return {(int(end["writer"].split("-")[1], 16), end["status"]) for end in run["finishes"]}


def test_an_exit_code_is_known_although_the_portal_was_away(start, portal, processes):
    """Experiment tracker: a script that left with an exit code while the server restarted was shown as a success."""
    portal.stop()
    script = start("import sys, traceml_agent\ntraceml_agent.start('model').log(loss=1)\nsys.exit(3)")
    assert script.wait(20) == 3
    portal.start()
    portal.wait_for(lambda p: any(status(run) == "failed" for run in p.runs().values() if run["finishes"]))


def test_a_child_forked_while_another_thread_starts_a_run_starts_its_own(run, processes, arrived):
    """Profiler: a worker forked at the wrong moment hung in the tracker's start, for a lock that nobody held."""
    out, _ = run("""
        import os, threading
        from traceml_agent import start
        from traceml_agent.delivery import uploader

        launch, has_begun, may_go_on = uploader.launch, threading.Event(), threading.Event()

        def slowly(settings):
            has_begun.set()
            may_go_on.wait(10)
            return launch(settings)

        uploader.launch = slowly
        thread = threading.Thread(target=lambda: start("parent"))
        thread.start()
        has_begun.wait()
        if not (child := os.fork()):
            uploader.launch = launch
            start("child").stop()
            print("child", flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        may_go_on.set()
        thread.join()
        """)
    assert out == "child\n"
    assert {each["headers"][0]["model"] for each in arrived(2)} == {"parent", "child"}


def test_a_signals_handler_logs_in_a_worker_that_is_just_logging(run, processes, arrived):
    """Job scheduler: a handler that logs a checkpoint's number hung the worker that it interrupted."""
    out, _ = run("""
        import os, signal, time
        from traceml_agent import start

        run = start("model")
        if not os.fork():
            signal.signal(signal.SIGALRM, lambda *_: run.log(checkpoint=1))
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                run.log(step=1)
            signal.setitimer(signal.ITIMER_REAL, 0)
            run.stop()
            print("logged", flush=True)
            os._exit(0)
        os.wait()
        """)
    assert out == "logged\n"
    (stored,) = arrived()
    assert metrics(stored)["checkpoint"]


def test_a_run_that_several_threads_stop_ends_once(run, processes, arrived):
    """Web service: each thread's clean-up stopped the tracker, and every one printed and sent an end of its own."""
    out, err = run("""
        import json, threading
        from traceml_agent import start

        run = start("model")
        barrier, found = threading.Barrier(8), []

        def stop():
            barrier.wait()
            found.append(run.stop())

        threads = [threading.Thread(target=stop) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps([each.duration_s for each in found]))
        """)
    assert len(set(json.loads(out))) == 1
    (stored,) = arrived()
    assert len(stored["finishes"]) == 1
    assert err.count("measured") == 1, err


def test_a_pools_workers_keep_nothing_of_runs_that_are_over(run, processes, arrived):
    """Hyperparameter search: workers that outlive a thousand trials ran out of threads and descriptors."""
    out, _ = run(
        """
        import multiprocessing, os, threading
        from traceml_agent import track

        def work(run):
            run.log(score=1)
            return threading.active_count(), len(os.listdir("/proc/self/fd"))

        if __name__ == "__main__":
            with multiprocessing.get_context("fork").Pool(1) as pool:
                for trial in range(60):
                    with track(f"trial {trial}", quiet=True) as run:
                        threads, descriptors = pool.apply(work, [run])
                    if trial == 5:
                        first = descriptors
                pool.close()
                pool.join()
            print(threads, descriptors - first)
        """,
        TRACEML_AGENT_URL="",
    )
    threads, more = map(int, out.split())
    assert threads < 60 / 2
    assert more < 60


def test_a_process_that_collects_no_garbage_keeps_no_descriptor_of_its_runs(run, processes):
    """Inference engine: garbage collection was off for speed, and each tracked call kept a descriptor."""
    out, _ = run("""
        import gc, os
        from traceml_agent import track

        gc.disable()

        def descriptors():
            with track("model", quiet=True):
                pass
            return len(os.listdir("/proc/self/fd"))

        first = descriptors()
        print(max(descriptors() for _ in range(20)) - first)
        """)
    assert out == "0\n"


HANGS = """
import os, time
from traceml_agent import start
from traceml_agent.sensors import discovery
from traceml_agent.sensors.sensor import Reading, Sensor

class Hanging(Sensor):
    facts = {"key": "gpu-0", "kind": "gpu", "name": "GPU", "uuid": "GPU-1", "basis": "sensor", "method": "nvml"}

    def __init__(self):
        self.readings = iter(range(2))

    def read(self):
        next(self.readings, None) is None and time.sleep(1000)
        return Reading(power_w=100.0)

discovery.of_accelerators = lambda *_: [Hanging()]
first = start("first")
time.sleep(2)
discovery.of_accelerators = lambda *_: []
"""


def test_a_driver_that_hangs_costs_neither_another_run_nor_each_fork(run, processes, arrived):
    """GPU monitor: a driver that answered no more held up every new data loader, and each later run was lost."""
    out, _ = run(
        HANGS
        + """
began = time.monotonic()
for _ in range(10):
    if not os.fork():
        os._exit(0)
    os.wait()
print(time.monotonic() - began)
second = start("second")
second.log(loss=1)
second.stop()
first.stop()
"""
    )
    assert float(out) < 10
    assert {each["headers"][0]["model"]: bool(metrics(each)) for each in arrived(2)} == {"first": False, "second": True}


def test_a_pool_that_replaces_its_workers_for_days_loses_no_call(run, processes, arrived):
    """Inference server: workers were replaced after some requests, and in time those of the newest went uncounted."""
    run("""
        import multiprocessing
        from traceml_agent import track, watch

        class Model:
            def predict(self, x):
                return x

        model = Model()

        def work(number):
            model.predict([number])

        if __name__ == "__main__":
            with track("model") as run:
                watch(model)
                with multiprocessing.get_context("fork").Pool(4, maxtasksperchild=1) as pool:
                    pool.map(work, range(400), chunksize=1)
        """)
    (stored,) = arrived()
    calls = [row for batch in stored["batches"].values() for row in batch.get("calls", [])]
    assert calls[-1]["calls"] == 400


def test_a_run_that_was_deleted_on_the_portal_is_not_dropped_without_a_word(run, portal, processes):
    """Experiment tracker: a run that a colleague deleted went on for a week, and nothing said that it was not kept."""
    portal.mode("410")
    _, err = run("""
        import time
        from traceml_agent import start
        start("model")
        time.sleep(4)
        """)
    assert err.count("deleted on the portal") == 1, err


def test_one_track_that_several_tasks_enter_ends_the_run_of_the_one_that_leaves(run, processes, arrived):
    """Web service: requests shared one tracking object, and the first to be done ended another's measurement."""
    run("""
        import asyncio
        from traceml_agent import track

        shared = track("request")

        async def request(seconds):
            with shared as run:
                await asyncio.sleep(seconds)
                run.log(seconds=seconds)

        async def main():
            await asyncio.gather(*map(request, (0.6, 0.2, 0.4)))

        asyncio.run(main())
        """)
    assert sorted(metrics(each)["seconds"] for each in arrived(3)) == [[0.2], [0.4], [0.6]]


#: A background thread starts a run, and `DELAY` seconds later a worker is forked, which starts one too: its own, or a
#: part of the parent's if that has begun by then.
FORKED_MEANWHILE = """
import os, sys, threading, time, traceml_agent

class Slow:
    @staticmethod
    def find_spec(name, path=None, target=None):
        time.sleep(LOADS_S.get(name, 0))

LOADS_S = {}
sys.meta_path.insert(0, Slow)
thread = threading.Thread(target=traceml_agent.start, args=["parent"])
thread.start()
time.sleep(DELAY)
if not (child := os.fork()):
    traceml_agent.start("child").stop()
    os._exit(0)
until = time.monotonic() + 30
while not os.waitpid(child, os.WNOHANG)[0] and time.monotonic() < until:
    time.sleep(0.01)
print(time.monotonic() < until)
if time.monotonic() > until:
    os.kill(child, 9)
"""


def parents_run_has_ended(portal) -> bool:
    stored = portal.runs().values()
    return any(each["finishes"] and each["headers"][0]["model"] == "parent" for each in stored)


@pytest.mark.parametrize("delay_s", [0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1])
def test_a_child_that_is_forked_while_a_thread_first_starts_a_run_can_start_one(run, processes, portal, delay_s):
    """Web server: workers were forked while a background thread imported the tracker, and hung in their own import."""
    out, _ = run(FORKED_MEANWHILE.replace("DELAY", f"{delay_s}"))
    assert out == "True\n"
    portal.wait_for(parents_run_has_ended)


@pytest.mark.parametrize("module", ["tracking.run", "sensors.cpu", "sensors.amd"])
def test_a_fork_waits_for_a_module_that_loads_slowly(run, processes, portal, module):
    """Cluster: environments on a busy network drive load a module in seconds, longer than a fork waits for a driver."""
    slowly = FORKED_MEANWHILE.replace("LOADS_S = {}", f"LOADS_S = {{'traceml_agent.{module}': 3.0}}")
    out, _ = run(slowly.replace("DELAY", "0.7"))
    assert out == "True\n"
    portal.wait_for(parents_run_has_ended)


def test_a_worker_starts_its_run_while_its_parents_run_ends(run, processes, arrived):
    """Hyperparameter search: a worker's start looked for its parent's run, which was just delivered, and failed."""
    _, err = run("""
        import os
        from traceml_agent import start
        from traceml_agent.spool import recording

        run = start("parent")
        if not os.fork():
            found = recording.is_finished

            def is_finished(path):
                os.unlink(path)  # the parent has ended, and its file is delivered
                return found(path)

            recording.is_finished = is_finished
            start("child").stop()
            os._exit(0)
        os.wait()
        """)
    assert "failed" not in err
    assert "child" in {each["headers"][0]["model"] for each in arrived(2)}
