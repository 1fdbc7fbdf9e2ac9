"""The peers, each release installed once into an environment of its own; absent where it does not install."""

import functools
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(os.environ.get("TRACEML_PEERS") or Path.home() / ".cache" / "traceml-peers")


class Peer(NamedTuple):
    """What to install, and how its documentation starts, stops and measures a part; nothing is written or printed."""

    packages: tuple[str, ...]
    start: str
    stop: str
    once: str  # around one call
    calls: int  # as many as take about a second


PEERS = {
    "codecarbon": Peer(
        ("codecarbon==3.3.2",),
        "from codecarbon import OfflineEmissionsTracker\n"
        'tracker = OfflineEmissionsTracker(country_iso_code="USA", save_to_file=False, log_level="error",'
        " measure_power_secs=1)\ntracker.start()",
        "tracker.stop()",
        'tracker.start_task("step"); tracker.stop_task("step")',
        3,
    ),
    "carbontracker": Peer(
        ("carbontracker==2.4.7",),
        # A simulated processor: without a GPU and a power counter it ends the process.
        "from carbontracker.tracker import CarbonTracker\n"
        'tracker = CarbonTracker(epochs=10**9, update_interval=1, components="cpu", verbose=0, sim_cpu="any",'
        " sim_cpu_tdp=65)\ntracker.epoch_start()",
        "tracker.epoch_end(); tracker.stop()",
        "tracker.epoch_end(); tracker.epoch_start()",
        1000,
    ),
    "eco2ai": Peer(
        ("eco2ai==0.3.12", "pandas<3"),  # with pandas 3 its stop() raises
        "from eco2ai import Tracker\n"
        'tracker = Tracker(project_name="x", experiment_description="x", file_name="eco2ai.csv", measure_period=1,'
        ' alpha_2_code="US", ignore_warnings=True)\ntracker.start()',
        "tracker.stop()",
        "tracker.stop(); tracker.start()",
        3,
    ),
    "zeus": Peer(
        ("zeus==0.16.0",),
        "from zeus.monitor import ZeusMonitor\n"
        'tracker = ZeusMonitor(gpu_indices=[], cpu_indices=[])\ntracker.begin_window("all", sync_execution=False)',
        'tracker.end_window("all", sync_execution=False)',
        'tracker.begin_window("step", sync_execution=False); tracker.end_window("step", sync_execution=False)',
        1000,
    ),
}


@functools.cache
def python_with(name: str) -> str | None:
    """The interpreter that has the peer, or None, said in a line, where it does not install."""
    packages = PEERS[name].packages
    folder = FOLDER / " ".join(packages)
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"Installing {packages[0]} to compare with …", file=sys.stderr)
        venv.create(folder, with_pip=True)
        words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        if subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode:
            print(f"{packages[0]} does not install here and is left out.", file=sys.stderr)
            return None
    works = subprocess.run([str(python), "-c", f"import {name}"], check=False, capture_output=True).returncode == 0
    return str(python) if works else None


def compared(measure: Callable[[Peer, str], float]) -> dict[str, float]:
    """What `measure` finds with each peer and its interpreter; a peer that fails at it is said and left out."""
    found = {}
    for name, peer in PEERS.items():
        if python := python_with(name):
            try:
                found[name] = measure(peer, python)
            except (subprocess.CalledProcessError, ValueError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def told(found: dict[str, float], spelled: str) -> str:
    """The peers' figures in one cell, such as `codecarbon 1.66 s, zeus 0.90 s`."""
    return ", ".join(f"{name} {spelled.format(value)}" for name, value in found.items())
