"""The peers, each release installed once into an environment of its own; absent where it does not install."""

import functools
import os
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(os.environ.get("TRACEML_PEERS") or Path.home() / ".cache" / "traceml-peers")
RELEASES = {"codecarbon": "codecarbon==3.3.2", "zeus": "zeus==0.16.0", "carbontracker": "carbontracker==2.4.7"}


@functools.cache
def python_with(peer: str) -> str | None:
    """The interpreter that has the peer, or None, said in a line, where it does not install."""
    folder = FOLDER / RELEASES[peer]
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"Installing {RELEASES[peer]} to compare with …", file=sys.stderr)
        venv.create(folder, with_pip=True)
        words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", RELEASES[peer]]
        if subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode:
            print(f"{RELEASES[peer]} does not install here and is left out.", file=sys.stderr)
            return None
    works = subprocess.run([str(python), "-c", f"import {peer}"], check=False, capture_output=True).returncode == 0
    return str(python) if works else None
