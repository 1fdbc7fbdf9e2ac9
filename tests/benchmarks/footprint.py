"""Memory while tracking and uploading, threads, and the size of what is installed."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.timing import PLACE, Row, figures, medians
from tests.fakes.portal import TOKEN, FakePortal

AGENT = Path(__file__).parents[2] / "agent"
#: Memory of a process that nobody else holds, and its part of what is shared: fair to a second process of one program.
MEMORY = """
import os, time
def mb(pid):
    for line in open(f"/proc/{{pid}}/smaps_rollup"):
        if line.startswith("Pss:"): return int(line.split()[1]) / 1024
def children():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try: fields = open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()
        except OSError: continue
        if int(fields[1]) == os.getpid(): found.append(pid)
    return found
{before}
time.sleep(4)
print(mb("self"), sum(map(mb, children())))
"""
#: The uploader is no child, but says who it is.
OURS = """
from traceml_agent import start
from traceml_agent.delivery import uploader
run = start('x', url={url!r}, token={token!r}, upload_s=1)
def children():
    return [each.pid for each in uploader.all_of_this_process() if each.hear() or each.pid]
"""


def rows() -> list[Row]:
    return [*memory(), *size()]


def memory() -> list[Row]:
    """In turns, as what counts as shared depends on what else runs."""
    with FakePortal(Path(tempfile.mkdtemp(dir=PLACE))) as portal:
        found = medians(
            5,
            bare=lambda: _mb("")[0],
            tracking=lambda: _mb(OURS.format(url="", token=""))[0],
            uploading=lambda: sum(_mb(OURS.format(url=portal.url, token=TOKEN))),
        )
    bare = found["bare"]
    tracking, uploading = found["tracking"] - bare, found["uploading"] - 2 * bare
    others = peers.told(peers.compared(lambda peer, python: _mb(peer.start, python)[0] - bare), "{:.0f} MB")
    return [
        Row("memory over bare, tracking", f"{tracking:.1f} MB", others, "≤ 8 MB", tracking <= 8),
        Row("memory over bare, uploading (both processes)", f"{uploading:.1f} MB", "", "≤ 24 MB", uploading <= 24),
    ]


def _mb(before: str, python: str | None = None) -> tuple[float, float]:
    own, others = figures(MEMORY.format(before=before), python or sys.executable)
    return own, others


def size() -> list[Row]:
    """The wheel, and a clean environment with it and all that it needs, less what an empty one has."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check"]
        subprocess.run([*pip, "--wheel-dir", folder, str(AGENT)], check=True, stderr=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("*.whl")
        wheel_mb = wheel.stat().st_size / 1e6
        venv.create(f"{folder}/clean", with_pip=True)
        before = _folder_mb(Path(folder, "clean"))
        words = [f"{folder}/clean/bin/python", "-m", "pip", "install", "--quiet", "--no-compile", str(wheel)]
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        install_mb = _folder_mb(Path(folder, "clean")) - before
    return [
        Row("wheel", f"{wheel_mb:.2f} MB", "", "≤ 1 MB", wheel_mb <= 1),
        Row("clean install, in all", f"{install_mb:.1f} MB", "", "≤ 12 MB", install_mb <= 12),
    ]


def _folder_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6
