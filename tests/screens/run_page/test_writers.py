"""What a run's processes are called: ranks and processes at once, attempts one after the other."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from runs.models import Writer
from runs.run_page.writers import processes_of, writer_names

START = datetime(2026, 11, 25, 12, tzinfo=UTC)
_pks = count(1)


def writer(minutes: float = 0, host: str = "node-1", rank: int | None = None, lasted_s: float = 600) -> Writer:
    began = START + timedelta(minutes=minutes)
    return Writer(pk=next(_pks), started_at=began, host=host, rank=rank, last_t_s=lasted_s)


JOBS = {
    "ranks of one host": ([writer(rank=0), writer(rank=1)], ["rank 0", "rank 1"], "2 ranks"),
    "ranks of two hosts": (
        [writer(rank=0), writer(0.1, "node-2", rank=1)],
        ["rank 0 on node-1", "rank 1 on node-2"],
        "2 ranks",
    ),
    "processes of unknown rank": ([writer(), writer(1)], ["process 1", "process 2"], "2 processes"),
    "hosts": ([writer(), writer(host="node-2")], ["node-1", "node-2"], "2 processes"),
    "attempts": ([writer(), writer(20)], ["attempt 1", "attempt 2"], "2 attempts"),
    "attempts on two hosts": (
        [writer(), writer(20, "node-2")],
        ["attempt 1 on node-1", "attempt 2 on node-2"],
        "2 attempts",
    ),
    "ranks in two attempts": (
        [writer(rank=0), writer(rank=1), writer(20, rank=0), writer(20, rank=1)],
        ["attempt 1, rank 0", "attempt 1, rank 1", "attempt 2, rank 0", "attempt 2, rank 1"],
        "2 ranks, 2 attempts",
    ),
    "two processes of a rank": (
        [writer(rank=0), writer(1, rank=0)],
        ["rank 0, process 1", "rank 0, process 2"],
        "2 processes",
    ),
    "a single process": ([writer(rank=0)], ["rank 0"], ""),
}  # fmt: skip


@pytest.mark.parametrize(("writers", "names", "words"), JOBS.values(), ids=JOBS)
def test_each_is_told_from_the_others(writers, names, words):
    assert list(writer_names(writers).values()) == names
    assert processes_of(writers) == words


def test_ranks_that_begin_one_by_one_are_one_attempt_while_any_goes_on():
    writers = [writer(rank=0, lasted_s=300), writer(1, rank=1, lasted_s=60), writer(4, rank=2, lasted_s=60)]
    assert list(writer_names(writers).values()) == ["rank 0", "rank 1", "rank 2"]
