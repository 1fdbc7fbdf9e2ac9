"""Runs that travel: into workers of pools, pickles of callbacks, tasks; what is told there reaches the one run."""

import pytest

from tests.cases.conftest import metrics, status

WORK = """
from traceml_agent import current_run, watch

class Greeter:
    def predict(self, names):
        return ["hello " + name for name in names]

def fold(number, run):
    with run.stage(f"fold {number}"):
        run.log(score=number, samples=10)
    watch(Greeter(), run=run).predict(["Ada", "Alan"])
    return current_run().run_id == run.run_id
"""


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work.py").write_text(WORK)


POOLS = {
    "loky": "joblib.Parallel(2, backend='loky')(joblib.delayed(fold)(n, run) for n in range(6))",
    "fork": "multiprocessing.get_context('fork').Pool(2).starmap(fold, [(n, run) for n in range(6)], chunksize=1)",
    "spawn": "multiprocessing.get_context('spawn').Pool(2).starmap(fold, [(n, run) for n in range(6)], chunksize=1)",
    "executor": "list(concurrent.futures.ProcessPoolExecutor(2).map(fold, range(6), [run] * 6))",
    "threads": "list(concurrent.futures.ThreadPoolExecutor(2).map(fold, range(6), [run] * 6))",
}


@pytest.mark.parametrize("pool", POOLS)
def test_what_workers_tell_of_the_run_adds_up(run, work, processes, arrived, pool):
    """Cross-validation over a pool: the tracker can't be pickled into the workers, or each worker is a run of its own,
    or what one worker tells replaces what the other told. All of it is the one run's."""
    out, _ = run(f"""
        import concurrent.futures, multiprocessing, time
        import joblib
        from traceml_agent import track
        from work import fold
        if __name__ == "__main__":
            with track("folds") as run:
                print(all({POOLS[pool]}))
                time.sleep(1.5)
    """)
    assert out == "True\n"
    (stored,) = arrived()
    assert status(stored) == "completed"
    batches = stored["batches"].values()
    stages = {stage["id"]: stage for batch in batches for stage in batch.get("stages", [])}
    assert sorted(stage["name"] for stage in stages.values()) == [f"fold {number}" for number in range(6)]
    assert sorted(metrics(stored)["score"]) == list(range(6))
    assert sum(metrics(stored)["samples"]) == 60
    calls = [call for batch in batches for call in batch.get("calls", [])]
    assert max((call["calls"], call["items"]) for call in calls) == (6, 12)


def test_public_calls_are_pickled_by_their_name(run):
    """Ray, Dask and joblib send tasks whose code mentions the tracker: they pickle what it mentions, and a function
    that is not found under its name is sent whole, with locks and contexts that can't be."""
    out, _ = run("""
        import pickle, traceml_agent
        for name in set(traceml_agent.__all__) - {"__version__"}:
            assert pickle.loads(pickle.dumps(getattr(traceml_agent, name))) is getattr(traceml_agent, name), name
        print("ok")
    """)
    assert out == "ok\n"


def test_work_and_odd_values_of_children_are_the_runs(run, processes, arrived):
    """Cross-validation whose folds log how many samples they saw, and now and then a value that is none: the summary
    at the end tells the work of all folds, and the page what was left out in any of them."""
    out, _ = run("""
        import os, time
        from traceml_agent import track
        with track("x") as run:
            run.log(samples=1, odd=None)
            for fold in range(3):
                if os.fork() == 0:
                    run.log(samples=10, odd=float("nan"))
                    os._exit(0)
            for fold in range(3):
                os.wait()
            time.sleep(4)
        print(run.summary.work.samples.count, sum(row["count"] for row in run.summary.left_out))
    """)
    assert out == "31.0 4\n"
    (stored,) = arrived()
    assert sum(metrics(stored)["samples"]) == 31
    assert sum(row["count"] for row in stored["finishes"][-1]["left_out"]) == 4
