"""Pools of processes: what their workers may do, whoever they were born under. See docs/processes.md."""

import pytest

from tests.cases.conftest import calls, metrics
from tests.cases.workers import POOLS, TURNS, are_whole, library, numbers  # noqa: F401 (a fixture)

in_each_pool = pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)


@in_each_pool
def test_what_workers_of_a_tracked_process_tell_is_its_runs(run, arrived, pool):
    """All of it, though a pool of multiprocessing kills its workers the moment that the last result is there."""
    run(
        pool
        + f"""
        import library, time, traceml_agent
        if __name__ == "__main__":
            for turn in range({TURNS}):
                with traceml_agent.track("trial") as run:
                    with pool() as workers:
                        ids = set(workers.map(library.told, range(20)))
                    assert ids == {{run.run_id}}
                    time.sleep(0.3)
        """
    )
    runs = arrived(TURNS)
    assert are_whole(runs)
    assert [sorted(metrics(stored)["number"]) for stored in runs] == [list(range(20))] * TURNS


@in_each_pool
def test_a_pool_that_was_born_under_one_run_works_for_the_next_and_then_for_none(run, arrived, pool):
    """The mark of a run in the environment outlives it: workers that looked no further measured nothing later."""
    run(
        pool
        + """
        import library, time, traceml_agent
        if __name__ == "__main__":
            with contextlib.ExitStack() as stack:
                with traceml_agent.track("first"):
                    workers = stack.enter_context(pool())
                    list(workers.map(library.trial, range(4)))
                with traceml_agent.track("second"):
                    list(workers.map(library.trial, range(4, 8)))
                list(workers.map(library.trial, range(8, 12)))
        """.replace("import library", "import contextlib, library")
    )
    runs = arrived(6)
    assert are_whole(runs)
    found = {}
    for stored in runs:
        found.setdefault(stored["headers"][0]["model"], []).extend(metrics(stored)["number"])
    assert {name: sorted(values) for name, values in found.items()} == {
        "first": [0, 1, 2, 3],
        "second": [4, 5, 6, 7],
        "trial": [8, 9, 10, 11],
    }


@in_each_pool
def test_each_task_of_an_untracked_pool_may_be_a_run(run, arrived, pool):
    run(
        pool
        + f"""
        import library
        if __name__ == "__main__":
            for turn in range({TURNS}):
                with pool() as workers:
                    list(workers.map(library.trial, range(4 * turn, 4 * turn + 4)))
        """
    )
    runs = arrived(4 * TURNS)
    assert are_whole(runs)
    assert numbers(runs) == list(range(4 * TURNS))


@in_each_pool
def test_models_that_workers_of_a_tracked_process_load_are_counted_together(run, arrived, pool):
    run(
        pool
        + """
        import library, time, traceml_agent
        if __name__ == "__main__":
            with traceml_agent.track("trial") as run:
                model = traceml_agent.watch(library.Greeter())
                library.greeted(model, 0)
                with pool() as workers:
                    list(workers.map(library.loaded, range(8)))
                time.sleep(0.3)
        """
    )
    (stored,) = arrived()
    assert are_whole([stored])
    assert calls(stored) == 90
