"""`make gpu-check`: its arithmetic, on the fake NVML, and what it says where there is nothing to check."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pynvml
import pytest

from tests.benchmarks import gpu_check
from tests.benchmarks.gpu_check import Figures, Watch, integrated_j, off_by, table, together
from tests.fakes.nvml import gpu
from traceml_agent.sensors import nvidia

ROOT = Path(gpu_check.__file__).parents[2]


def test_power_is_integrated_by_trapezoids():
    assert integrated_j([(0, 100), (1, 100), (3, 200)]) == 400
    assert integrated_j([(5, 100)]) == integrated_j([]) == 0


@pytest.mark.parametrize(
    ("value", "truth", "said"),
    [(101, 100, "+1.0 %"), (97.5, 100, "-2.5 %"), (None, 100, "–"), (5, None, "–"), (5, 0, "–")],
)
def test_what_is_off_is_said_against_the_counter(value, truth, said):
    assert off_by(value, truth) == said


def test_the_table_has_a_line_for_each_load():
    lines = table(
        [Figures("idle", 30.2, 3000, 3060, 2985, "NVML"), Figures("steady", 30, None, 9000, 8900)]
    ).splitlines()
    assert lines[2] == "| idle | 30 | 3,000 J | 3,060 J | 2,985 J | +2.0 % | -0.5 % | NVML |"
    assert lines[3].startswith("| steady | 30 | – | 9,000 J | 8,900 J | – | – |")
    assert len({line.count("|") for line in lines}) == 1


def test_two_runs_on_a_card_are_added_up_beside_the_boards_counter():
    found = together(Figures("both", 40, 4000, 4010, 3990), [2600.0, 1300.0])
    assert (found.traceml_j, found.counter_j) == (3900, 4000)
    assert "2,600 J and 1,300 J" in found.note


def test_a_stretch_is_seen_alike_by_counter_power_and_traceml(gpus):
    """A card of 200 W whose counter moves every 50 ms."""
    began, over = time.monotonic(), threading.Event()

    def draw():
        while not over.wait(0.05):
            line = gpu(energy=f"{10**6 + (time.monotonic() - began) * 200_000:.0f}", power="200000")
            state = Path(os.environ["FAKE_NVML"])
            state.with_suffix(".new").write_text(f"{line}\n")
            state.with_suffix(".new").replace(state)

    gpus(gpu(power="200000"))
    thread = threading.Thread(target=draw)
    thread.start()
    try:
        pynvml.nvmlInit()
        board = nvidia.NvidiaBoard(pynvml, 0, pynvml.nvmlDeviceGetHandleByIndex(0))
        found = Watch(nvidia.NvidiaGpu(pynvml, board), board).figures("steady", 2.0)
    finally:
        over.set()
        thread.join()
    for joules in found[2:5]:
        assert joules == pytest.approx(200 * found.seconds, rel=0.25)
    assert "50 % busy" in found.note


def test_a_machine_without_a_gpu_is_told_in_one_sentence(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}/agent/src:{ROOT}", "TRACEML_AGENT_ROOT": str(tmp_path)}
    words = [sys.executable, "-m", "tests.benchmarks.gpu_check"]
    done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.count("."), done.stderr) == (gpu_check.NOTHING, 1, "")
    assert "no NVIDIA GPU" in done.stdout


def test_a_load_computes_when_it_is_told_to_and_says_what_its_run_was_given(tmp_path, monkeypatch, library):
    """On a torch that counts what is asked of it."""
    (tmp_path / "torch.py").write_text(
        "float16 = 0\nrandn = lambda *a, **k: T()\n"
        "class T:\n    __matmul__ = lambda s, o: s\n"
        "class cuda:\n    synchronize = staticmethod(lambda: None)\n"
    )
    script = gpu_check.LOAD.replace("import torch\n", f"sys.path.insert(0, {str(tmp_path)!r}); import torch\n")
    monkeypatch.setattr(gpu_check, "LOAD", script)
    state = tmp_path / "gpus"
    state.write_text(gpu(power="100000"))
    for name, value in {"FAKE_NVML": str(state), "LD_LIBRARY_PATH": str(library.parent)}.items():
        monkeypatch.setenv(name, value)
    with gpu_check.load(0.5, "GPU-000-abc", str(tmp_path / "spool")) as process:
        gpu_check.begin(process, 1.0)
        (told,) = json.loads(process.stdout.readline())
    assert (told["kind"], told["uuid"]) == ("gpu", "GPU-000-abc")
    assert 0 < told["elapsed_s"] < 10
