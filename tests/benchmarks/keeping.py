"""The demo half year backed up, restored and moved to PostgreSQL, each as one command, its interpreter included."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.timing import Row

MANAGE = [sys.executable, str(Path(__file__).parents[2] / "manage.py")]
SERVER = os.environ.get("TEST_DATABASE_URL", "")
BOUND_S = 60


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        here = f"sqlite:///{folder}/demo.sqlite3"
        for words in (["migrate"], ["load_catalogue"], ["load_demo"]):
            _seconds(here, *words)
        found = [
            _row("backup, SQLite", _seconds(here, "backup", f"{folder}/one")),
            _row("restore, SQLite", _seconds(f"sqlite:///{folder}/restored.sqlite3", "restore", f"{folder}/one")),
        ]
        return found + (_postgres(here, folder) if SERVER else [])


def _postgres(here: str, folder: str) -> list[Row]:
    import psycopg

    server, names = SERVER.rpartition("/")[0], [f"bench_{secrets.token_hex(4)}" for _ in range(2)]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
        moved, restored = (f"{server}/{name}" for name in names)
        try:
            return [
                _row("move to PostgreSQL, tables made", _seconds(here, "move_database", moved)),
                _row("backup, PostgreSQL", _seconds(moved, "backup", f"{folder}/two")),
                _row("restore, PostgreSQL", _seconds(restored, "restore", f"{folder}/two")),
            ]
        finally:
            for name in names:
                connection.execute(f"DROP DATABASE {name}")


def _row(what: str, seconds: float) -> Row:
    return Row(f"demo half year: {what}", f"{seconds:.1f} s", "", f"≤ {BOUND_S} s", seconds <= BOUND_S)


def _seconds(url: str, *words: str) -> float:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": url}
    began = time.perf_counter()
    subprocess.run([*MANAGE, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
