"""`traceml-agent watch`: measure another process, or a cgroup, until it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from traceml_agent.commands import terminal
from traceml_agent.commands.program import model_of
from traceml_agent.commands.terminal import Complaint
from traceml_agent.host import system
from traceml_agent.host.allocation import Target
from traceml_agent.inputs import config, metadata
from traceml_agent.tracking.run import Run

LOOK_EVERY_S = 0.5
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
        "--device", action="append", metavar="NAME", help='an accelerator that can\'t be measured: "8x TPU v5e"'
    )


def command(options) -> int:
    """Measure until the target ends."""
    target = Target(options.pid, options.cgroup)
    if not is_alive(target):
        raise Complaint(f"{options.cgroup or options.pid} is not running: check `ps` or /sys/fs/cgroup", 2)
    attach(target, options.model or name_of(target), options.kind, options.name, devices=options.device)
    return 0


def attach(target: Target, model: str, kind: str, name: str | None, **settings) -> Run:
    """Measure the target until it ends, and return the stopped run. `settings` are those of `config.load`.

    Ctrl-C, SIGTERM and SIGHUP end the measuring, not the target; the run is then complete.
    """
    see_its_gpus(target)
    for each in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(each) is not signal.SIG_IGN:  # as under nohup
            signal.signal(each, signal.default_int_handler)
    run = Run(model, kind, name, None, None, config.load(**settings), target=target).begin()
    with contextlib.suppress(KeyboardInterrupt):
        while is_alive(target):
            time.sleep(LOOK_EVERY_S)
    run.stop()
    return run


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
