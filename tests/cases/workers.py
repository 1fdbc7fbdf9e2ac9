"""Ways to have code run in other processes, and what it does there: the cases of processes and pools share them."""

import tempfile

import pytest

from tests.cases.conftest import last_t_s, metrics, status

#: How often a test does the same: a run that is lost shows as one too few.
TURNS = 3
LIBRARY = """
import os, time
import traceml_agent

def trial(number):
    with traceml_agent.track("trial") as run:
        run.log(number=number)
        time.sleep(0.3)
    return number

def started(number):
    run = traceml_agent.start("trial")
    run.log(number=number)
    time.sleep(0.3)

def told(number):
    traceml_agent.current_run().log(number=number)
    return traceml_agent.current_run().run_id

def told_by(run, number):
    with run.stage("work"):
        run.log(number=number)
    run.log_params({f"number {number}": number})
    run.stop()
    return run.run_id

def walked(epochs):
    for number in epochs:
        traceml_agent.current_run().log(number=number)

def loaded(number):
    greeted(traceml_agent.watch(Greeter()), number)

class Greeter:
    def predict(self, names):
        return ["hello " + name for name in names]

def greeted(model, number):
    for _ in range(10):
        model.predict(["Ada", "Bob"])
"""


CHILDREN = {
    "fork": """
        import os
        def in_child(function, *arguments):
            pid = os.fork()
            if pid == 0:
                function(*arguments)
                os._exit(0)
            os.waitpid(pid, 0)
    """,
    "multiprocessing, fork": """
        import multiprocessing
        def in_child(function, *arguments):
            child = multiprocessing.get_context("fork").Process(target=function, args=arguments)
            child.start()
            child.join()
    """,
    "multiprocessing, spawn": """
        import multiprocessing
        def in_child(function, *arguments):
            child = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
            child.start()
            child.join()
    """,
    "multiprocessing, forkserver": """
        import multiprocessing
        def in_child(function, *arguments):
            child = multiprocessing.get_context("forkserver").Process(target=function, args=arguments)
            child.start()
            child.join()
    """,
    "concurrent.futures": """
        import concurrent.futures
        def in_child(function, *arguments):
            with concurrent.futures.ProcessPoolExecutor(1) as pool:
                pool.submit(function, *arguments).result()
    """,
    "joblib": """
        import joblib
        def in_child(function, *arguments):
            joblib.Parallel(2)(joblib.delayed(function)(*arguments) for _ in range(1))
    """,
}
POOLS = {
    "fork": """
        import multiprocessing
        def pool():
            return multiprocessing.get_context("fork").Pool(2)
    """,
    "spawn": """
        import multiprocessing
        def pool():
            return multiprocessing.get_context("spawn").Pool(2)
    """,
    "forkserver": """
        import multiprocessing
        def pool():
            return multiprocessing.get_context("forkserver").Pool(2)
    """,
    "concurrent.futures": """
        import concurrent.futures
        def pool():
            return concurrent.futures.ProcessPoolExecutor(2)
    """,
    "joblib": """
        import contextlib, joblib
        class pool(contextlib.ExitStack):  # joblib's workers stay for whoever comes next
            def map(self, function, numbers):
                return joblib.Parallel(2)(joblib.delayed(function)(number) for number in numbers)
    """,
}


@pytest.fixture(autouse=True)
def library(tmp_path, environment, processes):
    """Functions for other processes, as the module `library` beside the script; no run prints a line."""
    (tmp_path / "library.py").write_text(LIBRARY)
    environment["TRACEML_AGENT_QUIET"] = "1"
    with tempfile.TemporaryDirectory() as short:  # a fork server puts its socket there, whose path has 107 bytes
        environment["TMPDIR"] = short
        yield


def numbers(runs) -> list[float]:
    return sorted(value for stored in runs for value in metrics(stored).get("number", []))


def stages(stored) -> list[str]:
    batches = stored["batches"].values()
    rows = {(batch["writer"], row["id"]): row["name"] for batch in batches for row in batch.get("stages", [])}
    return sorted(rows.values())


def params(stored) -> dict:
    found = dict(stored["headers"][0]["params"])
    for batch in stored["batches"].values():
        found |= batch.get("about", {}).get("params", {})
    return found


def are_whole(runs) -> bool:
    """Whether each is completed and has its samples up to its end."""
    return {status(stored) for stored in runs} == {"completed"} and min(map(last_t_s, runs)) > 0.25
