"""Jobs of several ranks under a launcher: one run, whose figures are the job's and whose end is the first cause's."""

import json
import sys
import textwrap

import pytest

from tests.cases.conftest import metrics, status

pytest.importorskip("torch")


@pytest.fixture
def torchrun(start, tmp_path):
    """Runs a script on each of so many ranks of this host; what they printed, and the exit status."""

    def launch(code, count=2, before=()):
        (tmp_path / "train.py").write_text(textwrap.dedent(code))
        words = [
            "-m",
            "torch.distributed.run",
            f"--nproc-per-node={count}",
            "--master-port=0",
            "--standalone",
            "train.py",
        ]
        process = start(
            f"import subprocess, sys\nsys.exit(subprocess.call([*{list(before)}, sys.executable, *{words}]))"
        )
        out, err = process.communicate(timeout=90)
        return out, err, process.returncode

    return launch


TRAINS = """
    import json, os, time
    from traceml_agent import track
    with track("ddp", params={"world": int(os.environ["WORLD_SIZE"])}) as run:
        for epoch in run.epochs(range(3)):
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                sum(range(1000))
            run.log(samples=100, loss=1 / (epoch + 1))
        time.sleep(3)  # until the other rank has told its last
        if run.rank == 0:
            found = run.summary
            own_j = sum(device.energy_j for device in found.devices)
            print(json.dumps([found.energy_kwh, found.work.samples.count, own_j]), flush=True)
"""


def test_the_work_of_all_ranks_and_their_energy_is_the_jobs(torchrun, arrived):
    """Data-parallel training where each rank logs its own batches: a tracker that listens to rank 0 alone makes the
    energy of a sample twice as high as it is, and prints rank 0's energy as if it were the job's."""
    out, err, code = torchrun(TRAINS)
    assert code == 0, err
    (stored,) = arrived()
    assert sum(metrics(stored)["samples"]) == 600
    assert metrics(stored)["loss"] == [1.0, 0.5, pytest.approx(1 / 3)]
    assert {finish["status"] for finish in stored["finishes"]} == {"completed"}
    energy_kwh, samples, own_j = json.loads(out)
    assert samples == 600
    assert energy_kwh == pytest.approx(2 * own_j / 3.6e6, rel=0.3)  # both did the same
    assert ", all 2 ranks" in err


@pytest.mark.parametrize("before", [(), [sys.executable, "-m", "traceml_agent", "run", "--"]])
def test_a_job_has_failed_by_the_rank_that_failed_first(torchrun, arrived, before):
    """One rank meets bad data; the others fail by a broken connection, or are told to stop by the launcher: the
    tracker names what rank 0 saw of it. The run names the first cause and its rank, however it was started."""
    _, _, code = torchrun(
        """
        import time
        from traceml_agent import track
        with track("ddp") as run:
            time.sleep(0.3)
            if run.rank == 1:
                raise ValueError("bad data")
            time.sleep(0.7)
            if run.rank == 0:
                raise RuntimeError("connection closed by peer")
            time.sleep(30)
        """,
        count=3,
        before=before,
    )
    assert code == 1
    (stored,) = arrived()
    causes = [
        (finish["ended_at"], finish["exception"]) for finish in stored["finishes"] if finish["status"] == "failed"
    ]
    assert min(causes)[1] == "ValueError (rank 1)"
    assert before or len(stored["finishes"]) == 3


def test_ranks_that_share_a_budget_stop_after_the_same_epoch(torchrun, arrived):
    """Early stopping in data-parallel jobs: each rank decides by its own figures, one leaves the loop, and the others
    wait in a collective for ever. All leave after the same epoch."""
    out, err, code = torchrun(
        """
        import os, time, torch, torch.distributed
        from traceml_agent import track
        torch.distributed.init_process_group("gloo")
        with track("ddp", budget_kwh=1e-7, on_budget="stop") as run:
            for epoch in run.epochs(range(50)):
                time.sleep(0.1 * (1 + run.rank))
                torch.distributed.all_reduce(torch.ones(1))
        print(f"epoch {epoch}", flush=True)
        torch.distributed.destroy_process_group()
        """
    )
    assert code == 0, err
    first, second = out.split("\n")[:2]
    assert first == second != "epoch 49"
    assert status(arrived()[0]) == "completed"
    assert err.count("over budget") == 1
