"""The browser tests are left out with one clear line where there is no Chromium, but never in CI."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def browser_tests(**changes: str) -> subprocess.CompletedProcess:
    """Run two of them on a machine without Chromium, and on a database of their own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "DATABASE_URL")}
    environment = kept | {"CHROMIUM": "/nowhere"}
    command = [sys.executable, "-m", "pytest", "-q", "tests/browser/test_theme.py", "-k", "first or icon"]
    return subprocess.run(command, cwd=ROOT, env=environment | changes, capture_output=True, text=True, timeout=120)


def test_without_chromium_they_are_left_out_with_one_line():
    answer = browser_tests()
    lines = [line for line in answer.stdout.splitlines() if "no Chromium at /nowhere" in line]
    assert answer.returncode == 0, answer.stdout
    assert len(lines) == 1
    assert "Left out: the browser tests" in lines[0]
    assert "3 skipped" in answer.stdout


def test_without_chromium_they_fail_in_ci():
    answer = browser_tests(CI="true")
    assert answer.returncode == 1
    assert "no Chromium at /nowhere" in answer.stdout
