"""gunicorn configuration: `gunicorn -c python:traceml_site.serving.gunicorn traceml_site.wsgi`."""

import contextlib
import ctypes
import gc
import os
import shutil
import tempfile

from traceml_site import environment as env
from traceml_site.checks import is_loopback

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h

bind = f"{env.text('HOST', '127.0.0.1')}:{env.text('PORT', '8000')}"
workers = env.whole_number("WEB_CONCURRENCY", 2)
# A worker whose threads slow, idle and half-open clients can't occupy.
worker_class = "traceml_site.serving.worker.PatientWorker"
threads = 8
# One connection to PostgreSQL for each thread, and two for what a process does beside requests.
os.environ.setdefault("DATABASE_POOL_SIZE", str(threads + 2))
# Beyond this, the connections that have waited longest are closed.
worker_connections = 400
# Longer than proxies keep connections, so that they never send a request into a closing one.
keepalive = 75
# The application loads once, in the master: it saves memory, and an unsafe setting stops the whole server.
preload_app = True
max_requests, max_requests_jitter = 20_000, 2_000
timeout = 30
graceful_timeout = 10
# Keep the heartbeat file in memory: on a busy disk it stalls workers.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
# Only TRACEML_BEHIND_PROXY decides the scheme of a request, not headers of local clients.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
forwarded_allow_ips = ""
accesslog = None
loglevel = "warning"
logger_class = "traceml_site.logs.ServerLog"
# The folder in which workers share their counts for /metrics; the library reads the variable when it is imported.
_counts = tempfile.mkdtemp(prefix="traceml-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _counts


def child_exit(server, worker):
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    shutil.rmtree(_counts, ignore_errors=True)


def when_ready(server):
    """Before workers are forked, build the agent's wheel, so that all of them serve the same bytes, and the table of
    addresses, which the first requests of a worker would otherwise each build while they hold a connection.

    What is loaded by now stays: no worker has to look at it again for garbage, which took 70 ms once in fifty pages,
    or gets a copy of its memory by looking.
    """
    from django.urls import reverse

    from runs.agent_wheel import wheel

    wheel()
    reverse("overview")
    gc.collect()
    gc.freeze()


def post_worker_init(worker):
    """Fold what a worker that was killed left behind."""
    from runs.jobs import folder

    folder.wake()


def on_starting(server):
    _give_memory_back()
    hosts = {address[0] for address in server.cfg.address if isinstance(address, tuple)}
    if env.flag("DEBUG") and not all(map(is_loopback, hosts)):
        env.refuse("DEBUG exposes code and settings; unset it, or bind to 127.0.0.1")


def _give_memory_back():
    """Return large blocks of memory to the system as soon as they are free.

    After the first large body, glibc would otherwise keep that much memory for the next one, in each thread.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_MMAP_THRESHOLD, 256 * 1024), (M_TRIM_THRESHOLD, 1024 * 1024), (M_ARENA_MAX, 2)):
            mallopt(parameter, value)
