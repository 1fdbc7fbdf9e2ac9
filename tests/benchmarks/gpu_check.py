"""`make gpu-check`: TraceML's figures of this machine's NVIDIA GPU beside NVML's own counter and its power, as a table.

Four minutes: idle, steady load, load that comes and goes, two processes on one card, and a MIG slice where the card is
cut. Wants psutil, requests, nvidia-ml-py and torch, and downloads nothing. The loads run in processes of their own.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from traceml_agent.host.allocation import Target
from traceml_agent.measuring.meter import Meter
from traceml_agent.measuring.sampler import Sampler
from traceml_agent.sensors import nvidia

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- gpu-check: begin -->", "<!-- gpu-check: end -->"
#: Seconds of each part; that of two processes begins once both compute.
IDLE_S, STEADY_S, WAVE_S, SHARED_S = 30.0, 30.0, 48.0, 40.0
#: How often power is read to be integrated, and the wave: so many seconds, of which so much is busy.
POWER_EVERY_S, PERIOD_S, DUTY = 0.1, 4.0, 0.5
#: How long a load may take until it computes: torch loads slowly the first time.
READY_S = 60.0
NOTHING, NO_TORCH = 2, 3
LOAD = """
import sys, time
import torch
duty, period_s = float(sys.argv[1]), float(sys.argv[2])
a = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
a @ a; torch.cuda.synchronize()
if len(sys.argv) > 3:
    import json, traceml_agent
    start = lambda: traceml_agent.start("gpu-check", kind="other", spool_dir=sys.argv[3], quiet=True)
print("ready", flush=True)
seconds = float(sys.stdin.readline())
run = start() if len(sys.argv) > 3 else None
began = time.monotonic()
ends = began + seconds
while (now := time.monotonic()) < ends:
    if (now - began) % period_s < duty * period_s:
        a @ a; torch.cuda.synchronize()
    else:
        time.sleep(0.005)
if run:
    print(json.dumps([dict(each) for each in run.stop().devices if each.kind == "gpu"]), flush=True)
"""


class Figures(NamedTuple):
    """Joules of one stretch: by the counter, by power integrated ten times a second, by TraceML; None for none."""

    what: str
    seconds: float
    counter_j: float | None
    integrated_j: float | None
    traceml_j: float | None
    note: str = ""


def integrated_j(readings: list[tuple[float, float]]) -> float:
    """Joules of power readings as pairs of seconds and watts, by trapezoids."""
    return sum((b - a) * (v + w) / 2 for (a, v), (b, w) in pairwise(readings))


def off_by(value: float | None, truth: float | None) -> str:
    """`+1.3 %`, or a dash where one of the two isn't known."""
    return "–" if value is None or not truth else f"{value / truth - 1:+.1%}".replace("%", " %")


def table(rows: list[Figures]) -> str:
    """The rows as Markdown."""
    lines = [
        "| load | seconds | counter | power, 10 a second | TraceML | power − counter | TraceML − counter | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        joules = ["–" if j is None else f"{j:,.0f} J" for j in (row.counter_j, row.integrated_j, row.traceml_j)]
        off = [off_by(row.integrated_j, row.counter_j), off_by(row.traceml_j, row.counter_j)]
        lines.append(f"| {' | '.join([row.what, f'{row.seconds:.0f}', *joules, *off, row.note])} |")
    return "\n".join(lines)


class Watch:
    """Reads a board's counter and power from beginning to end, beside TraceML's own sampler."""

    def __init__(self, sensor: nvidia.NvidiaGpu, board: nvidia.NvidiaBoard):
        self._board, self._meter = board, Meter(sensor)
        self._readings: list[tuple[float, float]] = []
        self._over = threading.Event()

    def figures(self, what: str, seconds: float) -> Figures:
        """Watch for so long."""
        began = time.monotonic()
        sampler = Sampler(1.0, began, lambda samples: None, after_each=lambda: None)
        sampler.meters = [self._meter]
        thread = threading.Thread(target=self._read_power)
        thread.start()
        sampler.start(lambda: None)
        first_j, began = self._board.energy_j(), time.monotonic()
        time.sleep(seconds)
        last_j, lasted_s = self._board.energy_j(), time.monotonic() - began
        sampler.stop()
        self._over.set()
        thread.join()
        counter_j = None if first_j is None or last_j is None else last_j - first_j
        integrated = integrated_j(self._readings) if len(self._readings) > 1 else None
        busy_s, mean_w = self._meter.busy_s, (self._meter.energy_j or 0.0) / lasted_s
        busy = "" if busy_s is None else f", {busy_s / self._meter.elapsed_s:.0%} busy".replace("%", " %")
        note = f"{self._meter.facts['method']}, {mean_w:.0f} W on average{busy}"
        return Figures(what, lasted_s, counter_j, integrated, self._meter.energy_j, note)

    def _read_power(self) -> None:
        while not self._over.wait(POWER_EVERY_S):
            if (power_w := self._board.power_w()) is not None:
                self._readings.append((time.monotonic(), power_w))


@contextlib.contextmanager
def load(duty: float, uuid: str, spool: str = "") -> Iterator[subprocess.Popen]:
    """A process that will keep the device busy for a share of each period, once `begin` tells it for how long."""
    words = [sys.executable, "-c", LOAD, str(duty), str(PERIOD_S), *([spool] if spool else [])]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": uuid, "PYTHONPATH": str(ROOT / "agent" / "src")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, env=environment, **pipes) as process:  # type: ignore[call-overload]
        try:
            timer = threading.Timer(READY_S, process.kill)
            timer.start()
            if process.stdout.readline().strip() != "ready":
                raise ChildProcessError("the load did not begin: see above")
            timer.cancel()
            yield process
        finally:
            process.kill()


def begin(process: subprocess.Popen, seconds: float) -> None:
    """Let a load begin that is ready."""
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    time.sleep(0.1)


def parts_of_one_load(nvml, board: nvidia.NvidiaBoard) -> Iterator[Figures]:
    """Idle, steady, and a square wave, of the whole board."""
    target = (board.slices or [board])[0].uuid
    yield Watch(nvidia.NvidiaGpu(nvml, board), board).figures("idle", IDLE_S)
    with load(1.0, target) as process:
        begin(process, STEADY_S + 10)
        yield Watch(nvidia.NvidiaGpu(nvml, board), board).figures("steady", STEADY_S)
    with load(DUTY, target) as process:
        begin(process, WAVE_S + 10)
        what = f"{DUTY:.0%} of every {PERIOD_S:g} s".replace("%", " %")
        yield Watch(nvidia.NvidiaGpu(nvml, board), board).figures(what, WAVE_S)


def two_processes(nvml, board: nvidia.NvidiaBoard) -> Figures:
    """Two runs of TraceML on one card, one busy all the time and one half of it: their parts, and their sum."""
    with tempfile.TemporaryDirectory() as spool, contextlib.ExitStack() as both:
        loads = [both.enter_context(load(duty, board.uuid, spool)) for duty in (1.0, DUTY)]
        for process in loads:
            begin(process, SHARED_S)
        found = Watch(nvidia.NvidiaGpu(nvml, board), board).figures("two processes, their runs together", SHARED_S)
        told = [json.loads(process.stdout.readline()) for process in loads]  # type: ignore[union-attr]
    return together(found, [sum(device["energy_j"] for device in devices) for devices in told])


def together(found: Figures, parts_j: list[float]) -> Figures:
    """The board's figures with the sum of what its runs were given in the place of TraceML's own."""
    shares = " and ".join(f"{part_j:,.0f} J" for part_j in parts_j)
    return found._replace(traceml_j=sum(parts_j), note=f"busy all and half of the time: {shares}")


def of_a_slice(nvml, board: nvidia.NvidiaBoard) -> Figures:
    """A MIG slice under steady load: its share of the board's joules, which is an estimate."""
    first = board.slices[0]
    with load(1.0, first.uuid) as process:
        begin(process, STEADY_S + 10)
        return Watch(nvidia.NvidiaGpu(nvml, first), board).figures(
            f"MIG slice, {first.share:.2g} of the board", STEADY_S
        )


def has_torch() -> bool:
    """Whether torch can compute on a GPU, asked in another process: it would make a CUDA context in this one."""
    asked = [sys.executable, "-c", "import torch; raise SystemExit(not torch.cuda.is_available())"]
    return subprocess.run(asked, stderr=subprocess.DEVNULL, check=False).returncode == 0


def rows(nvml, board: nvidia.NvidiaBoard) -> Iterator[Figures]:
    if not has_torch():
        yield Watch(nvidia.NvidiaGpu(nvml, board), board).figures("idle", IDLE_S)
        return
    yield from parts_of_one_load(nvml, board)
    if board.slices:
        yield of_a_slice(nvml, board)
    elif not board.is_mig:
        yield two_processes(nvml, board)


def first_board() -> tuple[object, nvidia.NvidiaBoard] | None:
    """NVML with its first board, or None where there is none."""
    if next(nvidia.probe("machine", Target()), None) is None:
        return None
    import pynvml

    return pynvml, next(board for _, board in nvidia._boards(pynvml))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make gpu-check", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    there = first_board()
    if there is None:
        print("There is no NVIDIA GPU with a driver on this machine, so nothing was checked.")
        return NOTHING
    nvml, board = there
    found = list(rows(nvml, board))
    driver = nvidia._text(nvidia.ask(nvml, "nvmlSystemGetDriverVersion"))
    head = f"Measured {time.strftime('%Y-%m-%d')} on {board.name}, driver {driver}, by `make gpu-check`."
    print(f"{head}\n\n{table(found)}")
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{head}\n\n{table(found)}\n{END}{rest.partition(END)[2]}")
    if len(found) == 1:
        print("torch can't use a GPU here, so it was looked at while idle alone.")
        return NO_TORCH
    return 0


if __name__ == "__main__":
    sys.exit(main())
