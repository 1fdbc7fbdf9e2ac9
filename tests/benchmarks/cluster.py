"""A PostgreSQL server of a benchmark's own, with the settings that it comes with: it waits for the disk."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.serving.servers import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
#: It refuses to run as root.
ACCOUNT = "postgres" if os.getuid() == 0 else None


class Cluster:
    """A server that can be started, killed and started again."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        if ACCOUNT:
            shutil.chown(self.folder, ACCOUNT)
        words = ["-D", str(self.folder), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([PROGRAMS[-1] / "initdb", *words], **_as_account(), check=True, stdout=subprocess.DEVNULL)
        with (self.folder / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n")

    def start(self) -> None:
        words = [PROGRAMS[-1] / "postgres", "-D", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, **_as_account(), stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """Kill all its processes at once, as if the machine had lost power."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def database(self, name: str) -> str:
        """The URL of a new one."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def _as_account() -> dict:
    if not ACCOUNT:
        return {}
    account = pwd.getpwnam(ACCOUNT)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A server that runs; its data goes with it."""
    server = Cluster(Path(tempfile.mkdtemp(prefix="traceml-bench-postgres-")))
    server.make()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)
