"""Jobs for the worker that leave a trace in a file: which began, and which came to their end."""

import os
import time
from pathlib import Path

from django_tasks import task


def told(path: str) -> list[str]:
    """What the jobs wrote so far."""
    return Path(path).read_text().split() if Path(path).exists() else []


def _tell(path: str, word: str) -> None:
    with Path(path).open("a") as lines:  # short appends are whole, whoever writes beside
        lines.write(f"{word}\n")


@task()
def quick(path: str, word: str) -> None:
    _tell(path, word)


@task(queue_name="long")
def slow(path: str, seconds: float) -> None:
    _tell(path, f"began-{os.getpid()}")
    time.sleep(seconds)
    _tell(path, "ended")


@task()
def failing(path: str, times: int) -> None:
    """Fails so many times first."""
    _tell(path, "tried")
    if len(told(path)) <= times:
        raise RuntimeError("no mail server at mail.example")
