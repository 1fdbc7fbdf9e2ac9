"""Names of a run's writers: ranks and processes that run at the same time, attempts one after the other."""

from collections import Counter
from collections.abc import Collection

from runs.models import Writer
from runs.models.writer import attempts_of


def writer_names(writers: Collection[Writer]) -> dict[int, str]:
    """Return a distinguishing name for each writer: `rank 1`, `rank 1 on node-2`, `attempt 2`, `attempt 2, rank 1`."""
    attempts = attempts_of(writers)
    hosts = {writer.host for writer in writers}
    names = {}
    for number, attempt in enumerate(attempts, start=1):
        known = Counter((writer.rank, writer.host) for writer in attempt)
        for place, writer in enumerate(attempt, start=1):
            words = [f"attempt {number}"] if len(attempts) > 1 else []
            if writer.rank is not None:
                words.append(f"rank {writer.rank}")
            if known[writer.rank, writer.host] > 1:
                words.append(f"process {place}")
            names[writer.pk] = _on_host(", ".join(words), writer.host if len(hosts) > 1 else "")
    return names


def _on_host(name: str, host: str) -> str:
    return f"{name} on {host}" if name and host else name or host


def processes_of(writers: Collection[Writer]) -> str:
    """Describe how many there were: `4 ranks`, `2 processes`, `3 attempts`; empty for a single one."""
    attempts = attempts_of(writers)
    ranks = {writer.rank for writer in writers if writer.rank is not None}
    most_at_once = max(map(len, attempts), default=0)
    found = []
    if len(ranks) > 1:
        found.append(f"{len(ranks)} ranks")
    elif most_at_once > 1:
        found.append(f"{most_at_once} processes")
    if len(attempts) > 1:
        found.append(f"{len(attempts)} attempts")
    return ", ".join(found)
