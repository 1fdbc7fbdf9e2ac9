"""`traceml-agent watch`: measure another process, or a cgroup, until it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from urllib.parse import urlsplit

from traceml_agent.commands import terminal
from traceml_agent.commands.program import model_of
from traceml_agent.commands.terminal import Complaint
from traceml_agent.host import system
from traceml_agent.host.allocation import Target
from traceml_agent.inputs import config, metadata
from traceml_agent.integrations import reporting
from traceml_agent.tracking.run import Run
from traceml_agent.watch import REQUESTS, Watched
from traceml_agent.watching.engine import Engine

LOOK_EVERY_S = 0.5
#: Seconds between two readings of a server's counters: what it counts in the last of them before it ends is lost.
ASK_EVERY_S = 5.0
#: The variable with the token that the server's `/metrics` asks for.
TOKEN = "TRACEML_AGENT_METRICS_TOKEN"  # noqa: S105 (its name)
TEXT = "Measure a running process and its children, or a cgroup, until it ends or you press Ctrl-C."
EXAMPLE = "traceml-agent watch --pid 4711 --model llama-server --kind inference"
STATUSES = "0 the target ended or you stopped measuring, and the run is kept; 2 the target is not running"


def add_command(commands) -> None:
    """Add `watch` to the command line's parsers."""
    parser = terminal.add(commands, "watch", command, TEXT, EXAMPLE, STATUSES)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--pid", type=int, help="a process id")
    target.add_argument("--cgroup", help="a cgroup's path, as in /proc/PID/cgroup or below /sys/fs/cgroup")
    parser.add_argument("--model", help="the model's name (default: its script, module or program)")
    parser.add_argument("--kind", choices=metadata.KINDS, default="inference")
    parser.add_argument("--name", help="a name for this run")
    parser.add_argument(
        "--metrics", metavar="URL", help="the /metrics of a server for language models: its tokens count"
    )
    parser.add_argument("--served-model", metavar="NAME", default="", help="which of its models, if it has several")
    parser.add_argument(
        "--device", action="append", metavar="NAME", help='an accelerator that can\'t be measured: "8x TPU v5e"'
    )
    terminal.add_textfile(parser)


def command(options) -> int:
    """Measure until the target ends."""
    target = Target(options.pid, options.cgroup)
    if not is_alive(target):
        raise Complaint(f"{options.cgroup or options.pid} is not running: check `ps` or /sys/fs/cgroup", 2)
    engine = engine_of(options.metrics, options.served_model) if options.metrics else None
    settings = {"devices": options.device, "report_to": options.prometheus_textfile}
    attach(target, options.model or name_of(target), options.kind, options.name, engine, **settings)
    return 0


def engine_of(url: str, model: str) -> Engine:
    """The server at this address. Raises Complaint if the address is none, or would send the token unencrypted."""
    settings, token = config.load(), os.environ.get(TOKEN, "")
    parts = urlsplit(url)
    if parts.scheme not in config.PORTS or not parts.hostname or "@" in parts.netloc:
        raise Complaint(f"--metrics must look like http://127.0.0.1:8000/metrics; a token belongs into {TOKEN}", 2)
    if token and parts.scheme == "http" and not (settings.allow_http or config.is_loopback(parts.hostname)):
        raise Complaint(f"plain http to {parts.hostname} would send {TOKEN} unencrypted; use https", 2)
    return Engine(url, model, token, settings.ca_file)


def attach(target: Target, model: str, kind: str, name: str | None, engine: Engine | None = None, **settings) -> Run:
    """Measure the target until it ends, and return the stopped run. `settings` are those of `config.load`.

    What `engine` counts meanwhile becomes the run's tokens and requests.

    Ctrl-C, SIGTERM and SIGHUP end the measuring, not the target; the run is then complete.
    """
    see_its_gpus(target)
    for each in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(each) is not signal.SIG_IGN:  # as under nohup
            signal.signal(each, signal.default_int_handler)
    run = Run(model, kind, name, None, None, config.load(**settings), target=target).begin()
    reporting.report(run, settings.get("report_to", []))
    served = Served(engine, run) if engine else None
    with contextlib.suppress(KeyboardInterrupt):
        while is_alive(target):
            if served:
                served.look()
            time.sleep(LOOK_EVERY_S)
    if served:
        served.end()
    run.stop()
    return run


class Served:
    """A run's tokens and requests, by the counters of the server that it measures."""

    def __init__(self, engine: Engine, run: Run):
        self._engine, self._run, self._due_at = engine, run, 0.0
        self._requests = Watched(run.board).counts(REQUESTS)

    def look(self) -> None:
        """Read the counters if it is time to."""
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + ASK_EVERY_S
            done = self._engine.read()
            if requests := int(done.pop("requests", 0)):
                self._requests.add(requests, 0.0, requests)
            self._run.log(done)

    def end(self) -> None:
        """Read them once more; if they could never be read, the run says why."""
        self._due_at = 0.0
        self.look()
        if self._engine.trouble and (journal := self._run.journal()):
            journal.left_out.note("tokens and requests of the server", self._engine.trouble)


def is_alive(target: Target) -> bool:
    """Whether the process runs (a zombie does not), or the cgroup has any process."""
    if target.cgroup:
        return any(system.read(folder, "cgroup.procs") for folder in target.own_folders("cpu"))
    state = (system.read("proc", str(target.pid), "stat") or "").rpartition(")")[2].split()
    return bool(state) and state[0] not in ("Z", "X")


def name_of(target: Target) -> str:
    """The default name of a target: its script, module or program, or the end of the cgroup's path."""
    if target.cgroup:
        return os.path.basename(target.cgroup.rstrip("/")) or "cgroup"
    words = (system.read("proc", str(target.pid), "cmdline") or "").rstrip("\0").split("\0")
    # The kernel's own processes have no command line.
    return model_of(words) or system.read("proc", str(target.pid), "comm") or str(target.pid)


def see_its_gpus(target: Target) -> None:
    """Use the process's list of visible GPUs. Only its owner and root can read its environment."""
    if target.is_self or target.cgroup:
        return
    pairs = (entry.partition("=") for entry in (system.read("proc", str(target.pid), "environ") or "").split("\0"))
    theirs = {name: value for name, _, value in pairs}
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        os.environ.pop(name, None)
        if name in theirs:
            os.environ[name] = theirs[name]
