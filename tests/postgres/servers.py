"""A real PostgreSQL server, its streaming replica, and PgBouncer as docs/deploy.md configures it."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.documents import blocks
from tests.serving.servers import free_port

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)
BOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
#: A shorter limit than docs/deploy.md's, so that a test need not wait as long.
LIMIT_S = 2
#: What outlives nothing need not wait for the disk.
FAST = "-c fsync=off -c full_page_writes=off -c shared_buffers=32MB -c max_standby_streaming_delay=0"


#: PostgreSQL's servers refuse to be started by root.
USER: dict = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def call(*words: object) -> None:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60, cwd="/", **USER)
    assert done.returncode == 0, done.stdout + done.stderr


class Server:
    """A PostgreSQL server in a folder of its own, which anyone on this machine may connect to while a test runs."""

    def __init__(self, folder: Path):
        self.data, self.log, self.port = folder / "data", folder / "log", free_port()

    def url(self, user: str = "postgres", name: str = "traceml") -> str:
        return f"postgres://{user}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        options = f"{FAST} -c port={self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data}"
        call(BIN / "pg_ctl", "-D", self.data, "-l", self.log, "-w", "-o", options + " -c log_statement=all", "start")

    def stop(self) -> None:
        call(BIN / "pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def kill(self) -> None:
        """With all its processes at once, as if the machine had failed."""
        server = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        ended = [server, *server.children()]
        for process in ended:
            process.kill()
        psutil.wait_procs(ended, 10)

    @contextmanager
    def opened(self, name: str = "traceml") -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url(name=name), autocommit=True) as connection:
            yield connection

    def ask(self, sql: str, name: str = "traceml"):
        """The first value of a query's answer."""
        with self.opened(name) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that belongs to PostgreSQL's user."""
    path = Path(tempfile.mkdtemp(prefix="traceml-postgres-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(path, "postgres")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def primary() -> Iterator[Server]:
    with folder() as place:
        server = Server(place)
        call(BIN / "initdb", "-D", server.data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
        server.start()
        server.ask("CREATE ROLE traceml LOGIN PASSWORD 'traceml'", "postgres")
        server.ask(f"ALTER ROLE traceml SET statement_timeout = '{LIMIT_S}s'", "postgres")
        server.ask("CREATE ROLE unlimited LOGIN PASSWORD 'traceml'", "postgres")
        server.ask("CREATE DATABASE traceml OWNER traceml", "postgres")
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def replica(of: Server) -> Iterator[Server]:
    with folder() as place:
        server = Server(place)
        source = ("-h", "127.0.0.1", "-p", of.port, "-U", "postgres", "--checkpoint=fast", "--no-sync")
        call(BIN / "pg_basebackup", "-D", server.data, "-R", *source)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def bouncer(of: Server) -> Iterator[str]:
    """The URL of PgBouncer with the file of docs/deploy.md, but for its places."""
    with folder() as place:
        port = free_port()
        (config,) = blocks("docs/deploy.md", "ini")
        for setting, value in {"listen_port": port, "auth_file": place / "userlist.txt"}.items():
            config, changed = re.subn(rf"^{setting} = .*$", f"{setting} = {value}", config, flags=re.MULTILINE)
            assert changed == 1, setting
        config = config.replace("port=5432", f"port={of.port}")
        (place / "pgbouncer.ini").write_text(f"{config}\nunix_socket_dir =\n")
        (place / "userlist.txt").write_text('"traceml" "traceml"\n"unlimited" "traceml"\n')
        server = subprocess.Popen([str(BOUNCER), "--quiet", str(place / "pgbouncer.ini")], cwd="/", **USER)
        try:
            yield f"postgres://traceml:traceml@127.0.0.1:{port}/traceml"
        finally:
            server.terminate()
            server.wait(10)


def left_out() -> str:
    """Why these tests can't run here; empty if they can."""
    if BIN is None or not BOUNCER:
        return "Left out: Debian's packages postgresql and pgbouncer are not installed"
    return ""


needed = pytest.mark.skipif(bool(left_out()) and not os.environ.get("CI"), reason=left_out())
