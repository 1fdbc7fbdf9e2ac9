"""Databases as each release left them, for the tests of migrations; `python -m tests.releases.make NAME` adds one."""

from pathlib import Path

#: Oldest first.
RELEASES = sorted(Path(__file__).parent.glob("*.backup"))
