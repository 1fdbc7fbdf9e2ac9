"""Ranks of one job share one run, and are silent but for the first."""

import os
import subprocess
import sys

import pytest

from traceml_agent.host import job
from traceml_agent.spool import recording

LAUNCHERS = {
    "torchrun with an id": {"WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "exp-7", "MASTER_ADDR": "n1", "LOCAL_RANK": "0"},
    "SLURM": {"SLURM_STEP_NUM_TASKS": "8", "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0"},
    "Open MPI": {"OMPI_COMM_WORLD_SIZE": "8", "PMIX_NAMESPACE": "ns-1"},
    "torchrun without one": {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"},
}
RANK_OF = {"torchrun with an id": "RANK", "SLURM": "SLURM_PROCID", "Open MPI": "OMPI_COMM_WORLD_RANK"}


@pytest.fixture
def launched(monkeypatch):
    """Puts this process into the environment of a launcher's rank."""

    def as_rank(launcher, rank, **more):
        for name in (*job.RANKS, *job.SIZES, "SLURM_JOB_ID", "TORCHELASTIC_RUN_ID", "PMIX_NAMESPACE", "LOCAL_RANK"):
            monkeypatch.delenv(name, raising=False)
        for name, value in (LAUNCHERS[launcher] | {RANK_OF.get(launcher, "RANK"): str(rank)} | more).items():
            monkeypatch.setenv(name, value)

    return as_rank


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_all_ranks_find_the_same_name(launched, launcher):
    names = set()
    for rank in range(2):
        launched(launcher, rank)
        names.add(job.name())
        assert job.rank() == rank
    assert len(names) == 1
    assert names != {""}


def test_lightnings_own_launcher_tells_a_rank_by_its_local_rank_alone(launched, monkeypatch):
    launched("torchrun without one", 0, LOCAL_RANK="1")
    monkeypatch.delenv("RANK")
    assert (job.rank(), job.name()) == (1, "")


def test_a_framework_may_know_what_the_environment_does_not_say(launched, monkeypatch):
    """Four ranks on two hosts: as siblings, they measure themselves; as children of each host's first, it does."""
    monkeypatch.setattr(job, "_known", {})
    job.know(rank=2, size=4, local_rank=0, local_size=2)
    assert (job.rank(), job.size(), job.local_rank(), job.local_size()) == (2, 4, 0, 2)
    job.know(rank=2, size=4, local_rank=0, local_size=2, are_children=True)
    assert (job.rank(), job.size(), job.local_rank(), job.local_size()) == (1, 2, 0, 1)


def test_another_job_has_another_name(launched):
    launched("SLURM", 0)
    one = job.name()
    launched("SLURM", 0, SLURM_JOB_ID="4712")
    assert job.name() != one


def test_a_process_alone_has_no_job(launched, monkeypatch):
    launched("SLURM", 0, SLURM_STEP_NUM_TASKS="1")
    assert job.name() == ""


def test_four_ranks_are_one_run_in_which_the_first_speaks(tmp_path):
    code = """
from traceml_agent import track
with track("digits") as run:
    with run.stage("epoch 1"):
        sum(range(2_000_000))
    run.log(loss=0.5)
"""
    settings = {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path), "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | settings | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(4)
    ]
    said = [rank.communicate(timeout=60)[1] for rank in ranks]
    assert [len(text.splitlines()) for text in said] == [1, 0, 0, 0]
    files = list(tmp_path.glob("*.spool"))
    assert len(files) == 4
    assert len({file.name.partition(".")[0] for file in files}) == 1
    records = [record["body"] for file in files for _, record in recording.read(str(file)) if record]
    assert len({stage["id"] for body in records for stage in body.get("stages", [])}) == 1
    cores = sum(body["devices"][0]["cores"] for body in records if "status" in body)
    assert cores == pytest.approx(os.cpu_count(), rel=0.01)  # the host once, not four times


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, 4),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_TASKS_PER_NODE": "4(x2)"}, 4),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, 2),
        ({"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "4"}, 1),
        ({}, 1),
    ],
)
def test_the_ranks_of_this_host_are_counted(monkeypatch, environment, count):
    for name in (*job.SIZES, *job.LOCAL_SIZES, "SLURM_STEP_TASKS_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert job.local_size() == count


CLAIM = "import sys, time\nfrom traceml_agent.host.claims import Claims\nc = Claims('r', sys.argv[1])\n"
CLAIM += "print([uuid for uuid in ('GPU-1', 'GPU-2') if c.take(uuid)], flush=True)\nsys.stdin.read()"


def test_each_gpu_is_measured_by_one_rank_until_that_ends(tmp_path):
    def rank():
        words = [sys.executable, "-c", CLAIM, str(tmp_path)]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    first, second = rank(), None
    assert first.stdout.readline() == "['GPU-1', 'GPU-2']\n"
    second = rank()
    assert second.stdout.readline() == "[]\n"
    first.kill()
    first.communicate()
    third = rank()
    assert third.stdout.readline() == "['GPU-1', 'GPU-2']\n"
    for each in (second, third):
        each.communicate("")
